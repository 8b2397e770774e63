// Matrix product from one register tile: rows of A are broadcast, rows of B are vectors.
#include "cpu/gemm.h"

#include "cpu/vec.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

// Accumulators, one broadcast and the row of B have to fit the registers: 32 of them in AVX-512, 16 before.
#if PG_ISA_LEVEL == 2
constexpr int kRows = 6, kVectors = 4;
#else
constexpr int kRows = 4, kVectors = 2;
#endif
// A block of B (kDepth rows of one panel) stays in the second-level cache while all rows of A pass over it.
constexpr int64_t kDepth = 256;

template <class T, int R, int V, bool Whole>
inline void tile(int64_t k, Strided<T> a, const T* b, int64_t ldb, T* c, int64_t ldc, bool accumulate, int tail) {
  constexpr int L = kLanes<T>;
  Vec<T> acc[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      const bool part = !Whole && v == V - 1;
      acc[r][v] = !accumulate ? Vec<T>{} : part ? load_part(c + r * ldc + v * L, tail) : load(c + r * ldc + v * L);
    }
  for (int64_t p = 0; p < k; ++p) {
    Vec<T> row[V];
    for (int v = 0; v < V; ++v)
      row[v] = !Whole && v == V - 1 ? load_part(b + p * ldb + v * L, tail) : load(b + p * ldb + v * L);
    for (int r = 0; r < R; ++r) {
      const Vec<T> x = splat(a.data[r * a.row + p * a.column]);
      for (int v = 0; v < V; ++v) acc[r][v] = fma(x, row[v], acc[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      if (!Whole && v == V - 1)
        store_part(c + r * ldc + v * L, acc[r][v], tail);
      else
        store(c + r * ldc + v * L, acc[r][v]);
    }
}

template <class T, int R, int V, bool Whole>
void last_rows(int64_t m, int64_t k, Strided<T> a, const T* b, int64_t ldb, T* c, int64_t ldc, bool accumulate,
               int tail) {
  if (m == R) return tile<T, R, V, Whole>(k, a, b, ldb, c, ldc, accumulate, tail);
  if constexpr (R > 1) last_rows<T, R - 1, V, Whole>(m, k, a, b, ldb, c, ldc, accumulate, tail);
}

template <class T, int V, bool Whole>
void panel(int64_t m, int64_t k, Strided<T> a, const T* b, int64_t ldb, T* c, int64_t ldc, bool accumulate, int tail) {
  int64_t i = 0;
  for (; i + kRows <= m; i += kRows)
    tile<T, kRows, V, Whole>(k, {a.data + i * a.row, a.row, a.column}, b, ldb, c + i * ldc, ldc, accumulate, tail);
  last_rows<T, kRows - 1, V, Whole>(m - i, k, {a.data + i * a.row, a.row, a.column}, b, ldb, c + i * ldc, ldc,
                                    accumulate, tail);
}

template <class T, int V>
void last_panel(int64_t n, int64_t m, int64_t k, Strided<T> a, const T* b, int64_t ldb, T* c, int64_t ldc,
                bool accumulate) {
  constexpr int L = kLanes<T>;
  if constexpr (V > 1) {
    if (n <= (V - 1) * L) return last_panel<T, V - 1>(n, m, k, a, b, ldb, c, ldc, accumulate);
  }
  if (n == V * L) return panel<T, V, true>(m, k, a, b, ldb, c, ldc, accumulate, 0);
  panel<T, V, false>(m, k, a, b, ldb, c, ldc, accumulate, static_cast<int>(n - (V - 1) * L));
}

}  // namespace

template <class T>
void gemm(int64_t m, int64_t n, int64_t k, Strided<T> a, const T* b, int64_t ldb, T* c, int64_t ldc, bool accumulate) {
  constexpr int64_t width = static_cast<int64_t>(kVectors) * kLanes<T>;
  if (k == 0 && !accumulate) {
    for (int64_t i = 0; i < m; ++i) std::memset(c + i * ldc, 0, static_cast<size_t>(n) * sizeof(T));
    return;
  }
  for (int64_t j = 0; j < n; j += width) {
    const int64_t columns = n - j < width ? n - j : width;
    for (int64_t p = 0; p < k; p += kDepth) {
      const int64_t depth = k - p < kDepth ? k - p : kDepth;
      last_panel<T, kVectors>(columns, m, depth, {a.data + p * a.column, a.row, a.column}, b + p * ldb + j, ldb, c + j,
                              ldc, accumulate || p > 0);
    }
  }
}

// Four by four inner products at a time: eight loads feed sixteen products.
namespace {

template <class T, int R, int S>
void dots(int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, T* g, int64_t ldg) {
  constexpr int L = kLanes<T>;
  Vec<T> acc[R][S] = {};
  int64_t p = 0;
  for (; p + L <= k; p += L) {
    Vec<T> x[R], y[S];
    for (int r = 0; r < R; ++r) x[r] = load(a + r * lda + p);
    for (int s = 0; s < S; ++s) y[s] = load(b + s * ldb + p);
    for (int r = 0; r < R; ++r)
      for (int s = 0; s < S; ++s) acc[r][s] = fma(x[r], y[s], acc[r][s]);
  }
  if (p < k) {
    const int tail = static_cast<int>(k - p);
    for (int r = 0; r < R; ++r)
      for (int s = 0; s < S; ++s)
        acc[r][s] = fma(load_part(a + r * lda + p, tail), load_part(b + s * ldb + p, tail), acc[r][s]);
  }
  for (int r = 0; r < R; ++r)
    for (int s = 0; s < S; ++s) g[r * ldg + s] = horizontal_sum<T>(acc[r][s]);
}

}  // namespace

template <class T>
void gram(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, T* g, int64_t ldg) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) {
    int64_t j = 0;
    for (; j + 4 <= n; j += 4) dots<T, 4, 4>(k, a + i * lda, lda, b + j * ldb, ldb, g + i * ldg + j, ldg);
    for (; j < n; ++j) dots<T, 4, 1>(k, a + i * lda, lda, b + j * ldb, ldb, g + i * ldg + j, ldg);
  }
  for (; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) dots<T, 1, 1>(k, a + i * lda, lda, b + j * ldb, ldb, g + i * ldg + j, ldg);
}

template <class T>
void transpose(int64_t m, int64_t n, const T* in, int64_t ld_in, T* out, int64_t ld_out) {
  constexpr int L = kLanes<T>;
  for (int64_t i = 0; i < m; i += L)
    for (int64_t j = 0; j < n; j += L) {
      const int rows = static_cast<int>(m - i < L ? m - i : L), columns = static_cast<int>(n - j < L ? n - j : L);
      Vec<T> square[L] = {};
      for (int r = 0; r < rows; ++r) {
        const T* from = in + (i + r) * ld_in + j;
        square[r] = columns == L ? load(from) : load_part(from, columns);
      }
      transpose_square<T>(square);
      for (int c = 0; c < columns; ++c) {
        T* to = out + (j + c) * ld_out + i;
        rows == L ? store(to, square[c]) : store_part(to, square[c], rows);
      }
    }
}

template void gemm<float>(int64_t, int64_t, int64_t, Strided<float>, const float*, int64_t, float*, int64_t, bool);
template void gemm<double>(int64_t, int64_t, int64_t, Strided<double>, const double*, int64_t, double*, int64_t, bool);
template void gram<float>(int64_t, int64_t, int64_t, const float*, int64_t, const float*, int64_t, float*, int64_t);
template void gram<double>(int64_t, int64_t, int64_t, const double*, int64_t, const double*, int64_t, double*, int64_t);
template void transpose<float>(int64_t, int64_t, const float*, int64_t, float*, int64_t);
template void transpose<double>(int64_t, int64_t, const double*, int64_t, double*, int64_t);

}  // namespace phantomgrad::cpu::PG_ISA
