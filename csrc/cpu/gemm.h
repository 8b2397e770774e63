// Matrix products on row-major panels, the one place where flops are spent: C (+)= A B with A read by two strides.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// A(i, k) = data[i * row + k * column]: `{a, lda, 1}` reads A, `{a, 1, lda}` reads its transpose without copying it.
template <class T>
struct Strided {
  const T* data;
  int64_t row, column;
};

/// gemm:   C[m, n] = (accumulate ? C : 0) + A[m, k] B[k, n]. B and C are row-major with leading dimensions ldb, ldc.
///         Sums over k run in one fixed order, whatever m and n are and whichever thread calls.
/// gram:   G[m, n] = A[m, k] B[n, k]^T for a few rows (both row-major): inner products along the rows.
/// transpose:  out[n, m] = in[m, n].
PG_EVERY_ISA(template <class T> void gemm(int64_t m, int64_t n, int64_t k, Strided<T> a, const T* b, int64_t ldb, T* c,
                                          int64_t ldc, bool accumulate);
             template <class T> void gram(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                                          int64_t ldb, T* g, int64_t ldg);
             template <class T>
             void transpose(int64_t m, int64_t n, const T* in, int64_t ld_in, T* out, int64_t ld_out);)

}  // namespace phantomgrad::cpu
