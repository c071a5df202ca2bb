// Products of a small matrix with a block of lanes, sums held in registers.
#pragma once
#include <algorithm>

#include "vector.h"

// For `Units` rows of out = base + M in, m[j * outputs + i] the weight of in_j in out_i; `done(i, v, sum)` takes each
// sum; no base: zero.
template <typename T, int Units, typename Done>
static inline void tile_multiply_add(int outputs, int inputs, int i, const T* __restrict m, const V<T>* __restrict in,
                                     const V<T>* __restrict base, Done done) {
  V<T> sum[Units][NV];
  for (int k = 0; k < Units; ++k)
    for (int v = 0; v < NV; ++v) sum[k][v] = base ? base[NV * (i + k) + v] : V<T>{};
  for (int j = 0; j < inputs; ++j) {
    const T* row = m + int64_t(j) * outputs + i;
    for (int k = 0; k < Units; ++k)
      for (int v = 0; v < NV; ++v) sum[k][v] += row[k] * in[NV * j + v];
  }
  for (int k = 0; k < Units; ++k)
    for (int v = 0; v < NV; ++v) done(i + k, v, sum[k][v]);
}

template <typename T, typename Done>
static inline void multiply_add(int outputs, int inputs, const T* __restrict m, const V<T>* __restrict in,
                                const V<T>* __restrict base, Done done) {
  int i = 0;
  for (; i + kTile <= outputs; i += kTile) tile_multiply_add<T, kTile>(outputs, inputs, i, m, in, base, done);
  for (; i + 2 <= outputs; i += 2) tile_multiply_add<T, 2>(outputs, inputs, i, m, in, base, done);
  for (; i < outputs; ++i) tile_multiply_add<T, 1>(outputs, inputs, i, m, in, base, done);
}

// acc[i * m + j] += sum over `rows` of left[row][i] * right[row][j], i < n, j < m, lane by lane; lanes are summed once,
// at the end.
template <typename T, int I, int J>
static inline void tile_outer_products(int n, int m, int rows, int i, int j, const V<T>* __restrict left,
                                       const V<T>* __restrict right, V<T>* __restrict acc) {
  V<T> sum[I][J];
  for (int a = 0; a < I; ++a)
    for (int b = 0; b < J; ++b) sum[a][b] = acc[int64_t(i + a) * m + j + b];
  for (int r = 0; r < rows; ++r) {
    const V<T>*x = left + int64_t(r) * NV * n + NV * i, *y = right + int64_t(r) * NV * m + NV * j;
    for (int v = 0; v < NV; ++v)
      for (int a = 0; a < I; ++a)
        for (int b = 0; b < J; ++b) sum[a][b] += x[NV * a + v] * y[NV * b + v];
  }
  for (int a = 0; a < I; ++a)
    for (int b = 0; b < J; ++b) acc[int64_t(i + a) * m + j + b] = sum[a][b];
}

template <typename T, int I>
static inline void rows_of_outer_products(int n, int m, int rows, int i, const V<T>* left, const V<T>* right,
                                          V<T>* acc) {
  int j = 0;
  for (; j + 4 <= m; j += 4) tile_outer_products<T, I, 4>(n, m, rows, i, j, left, right, acc);
  for (; j < m; ++j) tile_outer_products<T, I, 1>(n, m, rows, i, j, left, right, acc);
}

template <typename T>
static inline void outer_products(int n, int m, int rows, const V<T>* left, const V<T>* right, V<T>* acc) {
  constexpr int I = kTile / 2;
  int i = 0;
  for (; i + I <= n; i += I) rows_of_outer_products<T, I>(n, m, rows, i, left, right, acc);
  for (; i < n; ++i) rows_of_outer_products<T, 1>(n, m, rows, i, left, right, acc);
}
