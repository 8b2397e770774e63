// What the headers of this folder need to be compiled for the host and, with the same bits, for a CUDA device.
#pragma once

#include <cstdint>
#include <cstring>

// Always inlined on the host: these headers are compiled once per instruction set, and an out-of-line copy built with
// AVX-512 must never be the one that the linker keeps for the baseline.
#if defined(__CUDACC__)
#define PG_HD __host__ __device__ __forceinline__
#else
#define PG_HD [[gnu::always_inline]] inline
#endif

// Operations with exactly one rounding, the same on every machine. Kernels whose bits must agree spell their arithmetic
// with these: a plain a * b + c is contracted into an fma by some compilers and not by others.
namespace phantomgrad::ieee {

#if defined(__CUDA_ARCH__)
PG_HD double fma(double a, double b, double c) { return __fma_rn(a, b, c); }
PG_HD double mul(double a, double b) { return __dmul_rn(a, b); }
PG_HD double add(double a, double b) { return __dadd_rn(a, b); }
PG_HD double div(double a, double b) { return __ddiv_rn(a, b); }
PG_HD double sqrt(double x) { return __dsqrt_rn(x); }
PG_HD double rint(double x) { return ::rint(x); }
#else
PG_HD double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
PG_HD double mul(double a, double b) { return a * b; }
PG_HD double add(double a, double b) { return a + b; }
PG_HD double div(double a, double b) { return a / b; }
PG_HD double sqrt(double x) { return __builtin_sqrt(x); }
PG_HD double rint(double x) { return __builtin_rint(x); }
#endif

PG_HD uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

PG_HD double double_of(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

}  // namespace phantomgrad::ieee
