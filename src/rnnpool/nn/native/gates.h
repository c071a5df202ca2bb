// FastGRNN's two gates and their slopes, smooth or piecewise linear.
#pragma once
#include "vector.h"

// What a unit's gates need besides the pre-activation.
template <typename T> struct UnitGates {
  T bias_gate, bias_candidate;
  T shift;  // -log2(e) * bias_candidate
  T ratio;  // exp(bias_candidate - bias_gate)
};

// One exponential serves both gates: with e = exp(-(pre + b_h)), tanh = 2 / (1 + e^2) - 1 and
// sigmoid = 1 / (1 + e * exp(b_h - b_z)). Beyond |58| binary orders (|40| natural ones) both are saturated for every
// difference of biases up to kMaxBiasGap.
constexpr double kMaxBiasGap = 20.0;
constexpr double kLog2E = 1.4426950408889634074;

template <typename T, bool Piecewise>
static inline void gates(V<T> pre, const UnitGates<T>& unit, V<T>& z, V<T>& c) {
  if constexpr (Piecewise) {
    z = clamp<T>((pre + unit.bias_gate + T(1)) * T(0.5), T(0), T(1));
    c = clamp<T>(pre + unit.bias_candidate, T(-1), T(1));
  } else {
    const V<T> e = exp2_of(clamp<T>(pre * T(-kLog2E) + unit.shift, T(-58), T(58)));
    z = reciprocal<T>(e * unit.ratio + T(1));
    c = reciprocal<T>(e * e + T(1)) * T(2) - T(1);
  }
}

// d sigma / d pre and d tanh / d pre from the gate's own value; the clipped branch has no gradient.
template <typename T, bool Piecewise> static inline V<T> slope_gate(V<T> z) {
  if constexpr (Piecewise) return (z > T(0)) & (z < T(1)) ? splat(T(0.5)) : splat(T(0));
  else return z * (T(1) - z);
}
template <typename T, bool Piecewise> static inline V<T> slope_candidate(V<T> c) {
  if constexpr (Piecewise) return (c > T(-1)) & (c < T(1)) ? splat(T(1)) : splat(T(0));
  else return T(1) - c * c;
}
