// Vectors of the instruction set that a *.isa.cc file is being compiled for, with the few operations that kernels need.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <utility>

#define PG_ISA_LEVEL_baseline 0
#define PG_ISA_LEVEL_avx2 1
#define PG_ISA_LEVEL_avx512 2
#define PG_CONCAT_(a, b) a##b
#define PG_CONCAT(a, b) PG_CONCAT_(a, b)
#define PG_ISA_LEVEL PG_CONCAT(PG_ISA_LEVEL_, PG_ISA)

namespace phantomgrad::cpu::PG_ISA {

#if PG_ISA_LEVEL == 2
inline constexpr int kVectorBytes = 64;
#elif PG_ISA_LEVEL == 1
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(kVectorBytes), may_alias));
};
template <class T>
using Vec = typename VecOf<T>::type;

template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

/// Unaligned load of a whole vector.
template <class T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
}

/// The first `count` lanes; the others are zero.
template <class T>
inline Vec<T> load_part(const T* p, int count) {
  Vec<T> v = {};
  std::memcpy(&v, p, static_cast<size_t>(count) * sizeof(T));
  return v;
}

template <class T>
inline void store_part(T* p, Vec<T> v, int count) {
  std::memcpy(p, &v, static_cast<size_t>(count) * sizeof(T));
}

template <class T>
inline Vec<T> splat(T x) {
  return x - Vec<T>{};
}

// a * b + c in one rounding where the instruction set has it. Kernels whose bits must not depend on the instruction
// set (noise) do not use this one.
#if PG_ISA_LEVEL == 2
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif PG_ISA_LEVEL == 1
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#else
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
#endif

/// Sum over lanes, pairwise.
template <class T>
inline T horizontal_sum(Vec<T> v) {
  T lanes[kLanes<T>];
  std::memcpy(lanes, &v, sizeof v);
  for (int width = kLanes<T> / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  return lanes[0];
}

template <class T>
inline T horizontal_max(Vec<T> v) {
  T lanes[kLanes<T>];
  std::memcpy(lanes, &v, sizeof v);
  T best = lanes[0];
  for (int i = 1; i < kLanes<T>; ++i) best = lanes[i] > best ? lanes[i] : best;
  return best;
}

template <class T>
inline Vec<T> larger(Vec<T> a, Vec<T> b) {
  return a > b ? a : b;
}

/// Lanes S apart change places between two rows of a square: a step of its transposition.
template <int S, class T, int... Lane>
inline void swap_lanes(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, Lane...>) {
#if __has_builtin(__builtin_shufflevector)
  const Vec<T> upper = __builtin_shufflevector(a, b, ((Lane & S) != 0 ? kLanes<T> + Lane - S : Lane)...);
  b = __builtin_shufflevector(a, b, ((Lane & S) != 0 ? kLanes<T> + Lane : Lane + S)...);
  a = upper;
#else  // GCC 11
  const Vec<T> upper{((Lane & S) != 0 ? b[Lane - S] : a[Lane])...};
  b = Vec<T>{((Lane & S) != 0 ? b[Lane] : a[Lane + S])...};
  a = upper;
#endif
}

/// Transposes the square whose rows are given.
template <class T, int S = kLanes<T> / 2>
inline void transpose_square(Vec<T> (&rows)[kLanes<T>]) {
  for (int i = 0; i < kLanes<T>; ++i)
    if ((i & S) == 0) swap_lanes<S, T>(rows[i], rows[i + S], std::make_integer_sequence<int, kLanes<T>>());
  if constexpr (S > 1) transpose_square<T, S / 2>(rows);
}

}  // namespace phantomgrad::cpu::PG_ISA
