// Vectors of the machine's widest registers, in the compiler's own vector types, and the arithmetic that gates need.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kTile = 8;  // units whose sums stay in registers together
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
constexpr int kTile = 4;
#else
constexpr int kVectorBytes = 16;
constexpr int kTile = 4;
#endif

template <typename T> struct Vec { typedef T type __attribute__((vector_size(kVectorBytes))); };
template <typename T> using V = typename Vec<T>::type;
template <typename T> constexpr int kWidth = kVectorBytes / int(sizeof(T));
constexpr int NV = 2;  // vectors that advance together
template <typename T> constexpr int kLanes = NV * kWidth<T>;

template <typename T> static inline V<T> splat(T value) { return V<T>{} + value; }

template <typename T> static inline V<T> load(const T* from) {
  V<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <typename T> static inline void store(T* to, V<T> v) { std::memcpy(to, &v, sizeof v); }

// x between low and high; NaN stays NaN.
template <typename T> static inline V<T> clamp(V<T> x, T low, T high) {
  x = x < low ? splat(low) : x;
  return x > high ? splat(high) : x;
}
#if defined(__AVX512F__)
template <> inline V<float> clamp<float>(V<float> x, float low, float high) {
  // min and max give their second argument where one is NaN.
  return (V<float>)_mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), (__m512)x));
}
#elif defined(__AVX__)
template <> inline V<float> clamp<float>(V<float> x, float low, float high) {
  return (V<float>)_mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), (__m256)x));
}
#endif

// 1 / x for x in [1, 2^120]; in float within 1 unit in the last place.
template <typename T> static inline V<T> reciprocal(V<T> x) { return T(1) / x; }
#if defined(__AVX512F__)
template <> inline V<float> reciprocal<float>(V<float> x) {
  const V<float> guess = (V<float>)_mm512_rcp14_ps((__m512)x);
  return guess * (2.f - x * guess);  // one step of Newton's method doubles the 14 bits
}
#endif

// 2^x for |x| <= 60; in float a minimax polynomial on [-1/2, 1/2], exact at 0, relative error below 2e-7.
static inline V<float> exp2_of(V<float> x) {
  typedef int32_t I __attribute__((vector_size(kVectorBytes)));
  constexpr float kMagic = 12582912.f + 127.f;  // 1.5 * 2^23: the sum's low bits hold round(x) + 127, an exponent
  const V<float> shifted = x + kMagic;
  const V<float> f = x - (shifted - kMagic);
  V<float> poly = splat(1.3264727140e-3f);
  poly = poly * f + 9.6715126400e-3f;
  poly = poly * f + 5.5507337435e-2f;
  poly = poly * f + 2.4022242085e-1f;
  poly = poly * f + 6.9314697760e-1f;
  poly = poly * f + 1.f;
  I bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
  V<float> scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return poly * scale;  // a product, not a sum of bits: NaN times anything is NaN
}

static inline V<double> exp2_of(V<double> x) {
  for (int i = 0; i < kWidth<double>; ++i) x[i] = std::exp2(x[i]);
  return x;
}

template <typename T> static inline T lane_sum(V<T> v) {
  T sum = 0;
  for (int i = 0; i < kWidth<T>; ++i) sum += v[i];
  return sum;
}
