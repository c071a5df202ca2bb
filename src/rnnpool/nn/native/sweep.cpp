// A FastGRNN swept over every window of every line of a feature map, forward and backward.
//
// Line: the L positions along the swept axis at one (image, position on the other axis). As many lines as two vector
// registers have lanes advance together: a state is an (h x lanes) block that stays in the first-level cache for a
// whole window, so a step costs h*h fused multiply-adds a lane and no memory traffic.
//
//   pre = p[l] + U h;  z = sigmoid(pre + b_z);  c = tanh(pre + b_h);  h <- z h + (zeta (1 - z) + nu) c;  h_0 = 0
//
// (RNNPool, section 3 and Algorithm 1; FastGRNN: Kusupati et al., NeurIPS 2018, equation 2). p = W x is given. Nothing
// but p is kept for the backward pass: a window's states are recomputed, which costs less than writing and reading
// them. Plain C interface: no PyTorch headers, so it compiles in seconds and survives an upgrade of PyTorch.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gates.h"
#include "lines.h"
#include "products.h"
#include "threads.h"

// What one call works on; mirrored by _Problem in __init__.py.
struct Problem {
  int64_t images, channels, length, lines, kernel, stride, windows;
  Strides p, y, dp;
  int32_t directions;  // 1: first to last; 2: also last to first, in the next `channels` channels of y
  int32_t piecewise;   // gates: 0 sigmoid and tanh, 1 clip((x + 1) / 2, 0, 1) and clip(x, -1, 1)
  int32_t threads;
  double zeta, nu;
};

template <typename T> struct Cell {
  int h = 0;
  const T* u = nullptr;           // u[i * h + j]: weight of h_j in unit i
  std::vector<T> u_transposed;    // [j * h + i]
  std::vector<UnitGates<T>> unit;
  T zeta = 1, nu = 0;
};

// Position of step t of window w in the given direction.
static inline int64_t position_of(const Problem& q, int64_t window, int64_t t, int direction) {
  return window * q.stride + (direction ? q.kernel - 1 - t : t);
}

// One step for all units: from state `h` (null: zero) and projected input `p` to `next`; z and c are kept if asked.
template <typename T, bool Piecewise, bool Keep>
static inline void step(const Cell<T>& cell, const V<T>* __restrict p, const V<T>* __restrict h, V<T>* __restrict next,
                        V<T>* __restrict z_out, V<T>* __restrict c_out) {
  const T both = cell.zeta + cell.nu, zeta = cell.zeta;
  if (h) {
    multiply_add<T>(cell.h, cell.h, cell.u_transposed.data(), h, p, [&](int i, int v, V<T> pre) {
      const int at = NV * i + v;
      V<T> z, c;
      gates<T, Piecewise>(pre, cell.unit[size_t(i)], z, c);
      next[at] = z * h[at] + (both - zeta * z) * c;
      if constexpr (Keep) z_out[at] = z, c_out[at] = c;
    });
  } else {
    for (int i = 0; i < cell.h; ++i)
      for (int v = 0; v < NV; ++v) {
        const int at = NV * i + v;
        V<T> z, c;
        gates<T, Piecewise>(p[at], cell.unit[size_t(i)], z, c);
        next[at] = (both - zeta * z) * c;
        if constexpr (Keep) z_out[at] = z, c_out[at] = c;
      }
  }
}

template <typename T, bool Piecewise>
static void forward_blocks(const Problem& q, const Cell<T>& cell, const T* p, T* y, int64_t from, int64_t to) {
  const int row = NV * cell.h;
  Room<T> line(q.length * row), state(2 * row), result(q.windows * row);
  for (int64_t block = from; block < to; ++block) {
    const Lanes<T> lanes(q.images, q.lines, block * kLanes<T>);
    gather(q.length, q.channels, p, lanes, q.p, reinterpret_cast<T*>(line.data));
    for (int direction = 0; direction < q.directions; ++direction) {
      for (int64_t w = 0; w < q.windows; ++w) {
        const V<T>* current = nullptr;
        for (int64_t t = 0; t < q.kernel; ++t) {
          V<T>* next = t + 1 == q.kernel ? result.data + w * row : state.data + (t & 1) * row;
          const V<T>* input = line.data + position_of(q, w, t, direction) * row;
          step<T, Piecewise, false>(cell, input, current, next, nullptr, nullptr);
          current = next;
        }
      }
      scatter(q.windows, q.channels, reinterpret_cast<const T*>(result.data), lanes, q.y,
              y + direction * q.channels * q.y.channel);
    }
  }
}

// Sums over the lines of one thread, lane by lane: h*h of U, h of b_z, h of b_h, zeta, nu. A block is summed on its own
// and then added to the total, which keeps the rounding of long sums down.
template <typename T> struct Sums {
  int64_t size;
  Room<T> total, block;
  explicit Sums(int64_t h) : size(h * h + 2 * h + 2), total(size), block(size) {}
  void end_block() {
    for (int64_t i = 0; i < size; ++i) total.data[i] += block.data[i], block.data[i] = V<T>{};
  }
};

// From the gradient `dh` of a step's state to those of its pre-activation, its input and the state before it.
template <typename T, bool Piecewise>
static inline void step_back(const Cell<T>& cell, const V<T>* __restrict dh, const V<T>* __restrict before,
                             const V<T>* __restrict zs, const V<T>* __restrict cs, V<T>* __restrict dpre,
                             V<T>* __restrict dinput, V<T>* __restrict dkept, V<T>* __restrict sums) {
  const int h = cell.h;
  V<T>*d_gate = sums + int64_t(h) * h, *d_candidate = d_gate + h, *d_mix = d_candidate + h;
  V<T> d_zeta{}, d_nu{};
  for (int i = 0; i < h; ++i)
    for (int v = 0; v < NV; ++v) {
      const int at = NV * i + v;
      const V<T> z = zs[at], c = cs[at], d = dh[at], fresh = d * c;
      const V<T> dz = (before ? d * before[at] : V<T>{}) - cell.zeta * fresh;
      const V<T> dgate = dz * slope_gate<T, Piecewise>(z);
      const V<T> dcandidate = d * (cell.zeta * (T(1) - z) + cell.nu) * slope_candidate<T, Piecewise>(c);
      dpre[at] = dgate + dcandidate;
      dinput[at] += dgate + dcandidate;
      d_gate[i] += dgate;
      d_candidate[i] += dcandidate;
      d_zeta += fresh * (T(1) - z);
      d_nu += fresh;
      dkept[at] = d * z;
    }
  d_mix[0] += d_zeta;
  d_mix[1] += d_nu;
}

template <typename T, bool Piecewise>
static void backward_blocks(const Problem& q, const Cell<T>& cell, const T* p, const T* dy, T* dp, Sums<T>& sums,
                            int64_t from, int64_t to) {
  const int h = cell.h, row = NV * h;
  Room<T> line(q.length * row), dline(q.length * row), dresult(q.windows * row), dstate(2 * row);
  Room<T> states(q.kernel * row), zs(q.kernel * row), cs(q.kernel * row), dpre(q.kernel * row);
  for (int64_t block = from; block < to; ++block) {
    const Lanes<T> lanes(q.images, q.lines, block * kLanes<T>);
    gather(q.length, q.channels, p, lanes, q.p, reinterpret_cast<T*>(line.data));
    std::fill(dline.data, dline.data + q.length * row, V<T>{});
    for (int direction = 0; direction < q.directions; ++direction) {
      T* upstream = reinterpret_cast<T*>(dresult.data);
      gather(q.windows, q.channels, dy + direction * q.channels * q.y.channel, lanes, q.y, upstream);
      // A lane that repeats the last line must not count twice in the sums.
      for (int64_t at = 0; at < q.windows * q.channels; ++at)
        for (int lane = lanes.count; lane < kLanes<T>; ++lane) upstream[at * kLanes<T> + lane] = T(0);
      for (int64_t w = 0; w < q.windows; ++w) {
        for (int64_t t = 0; t < q.kernel; ++t)
          step<T, Piecewise, true>(cell, line.data + position_of(q, w, t, direction) * row,
                                   t ? states.data + (t - 1) * row : nullptr, states.data + t * row,
                                   zs.data + t * row, cs.data + t * row);
        const V<T>* dh = dresult.data + w * row;
        for (int64_t t = q.kernel - 1; t >= 0; --t) {
          V<T>*d = dpre.data + t * row, *dkept = dstate.data, *dbefore = dstate.data + row;
          step_back<T, Piecewise>(cell, dh, t ? states.data + (t - 1) * row : nullptr, zs.data + t * row,
                                  cs.data + t * row, d, dline.data + position_of(q, w, t, direction) * row, dkept,
                                  sums.block.data);
          if (t) multiply_add<T>(h, h, cell.u, d, dkept, [&](int i, int v, V<T> sum) { dbefore[NV * i + v] = sum; });
          dh = dbefore;
        }
        // dU[i][j] = sum_t dpre_t[i] h_(t-1)[j]: step t pairs with the state before it.
        outer_products<T>(h, h, int(q.kernel) - 1, dpre.data + row, states.data, sums.block.data);
      }
    }
    scatter(q.length, q.channels, reinterpret_cast<const T*>(dline.data), lanes, q.dp, dp);
    sums.end_block();
  }
}

template <typename T> static int64_t block_count(const Problem& q) {
  return (q.images * q.lines + kLanes<T> - 1) / kLanes<T>;
}

// False where |b_h - b_z| is beyond what the shared exponential is exact for.
template <typename T>
static bool make_cell(const Problem& q, const T* u, const T* bias_gate, const T* bias_candidate, Cell<T>& cell) {
  const int h = int(q.channels);
  cell.h = h, cell.u = u, cell.zeta = T(q.zeta), cell.nu = T(q.nu);
  cell.u_transposed.resize(size_t(h) * size_t(h));
  for (int i = 0; i < h; ++i)
    for (int j = 0; j < h; ++j) cell.u_transposed[size_t(j * h + i)] = u[i * h + j];
  for (int i = 0; i < h; ++i) {
    const double candidate = double(bias_candidate[i]), gap = candidate - double(bias_gate[i]);
    if (std::fabs(gap) > kMaxBiasGap) return false;
    cell.unit.push_back({bias_gate[i], bias_candidate[i], T(-kLog2E * candidate), T(std::exp(gap))});
  }
  return true;
}

template <typename T>
static int run_forward(const Problem& q, const T* p, const T* u, const T* bias_gate, const T* bias_candidate, T* y) {
  Cell<T> cell;
  if (!make_cell(q, u, bias_gate, bias_candidate, cell)) return 1;
  in_threads(q.threads, block_count<T>(q), [&](int, int64_t from, int64_t to) {
    if (q.piecewise) forward_blocks<T, true>(q, cell, p, y, from, to);
    else forward_blocks<T, false>(q, cell, p, y, from, to);
  });
  return 0;
}

// d_parameters: the entries of Sums, summed over all lines in a fixed order of threads.
template <typename T>
static int run_backward(const Problem& q, const T* p, const T* u, const T* bias_gate, const T* bias_candidate,
                        const T* dy, T* dp, T* d_parameters) {
  Cell<T> cell;
  if (!make_cell(q, u, bias_gate, bias_candidate, cell)) return 1;
  std::vector<Sums<T>> sums;
  for (int i = 0; i < thread_count(q.threads, block_count<T>(q)); ++i) sums.emplace_back(cell.h);
  in_threads(q.threads, block_count<T>(q), [&](int thread, int64_t from, int64_t to) {
    if (q.piecewise) backward_blocks<T, true>(q, cell, p, dy, dp, sums[size_t(thread)], from, to);
    else backward_blocks<T, false>(q, cell, p, dy, dp, sums[size_t(thread)], from, to);
  });
  std::fill(d_parameters, d_parameters + sums[0].size, T(0));
  for (const auto& part : sums)
    for (int64_t i = 0; i < part.size; ++i) d_parameters[i] += lane_sum<T>(part.total.data[i]);
  return 0;
}

// All functions return 0, or 1 where make_cell fails.
extern "C" {
int rnnpool_forward_f32(const Problem* q, const float* p, const float* u, const float* bz, const float* bh, float* y) {
  return run_forward<float>(*q, p, u, bz, bh, y);
}
int rnnpool_forward_f64(const Problem* q, const double* p, const double* u, const double* bz, const double* bh,
                        double* y) {
  return run_forward<double>(*q, p, u, bz, bh, y);
}
int rnnpool_backward_f32(const Problem* q, const float* p, const float* u, const float* bz, const float* bh,
                         const float* dy, float* dp, float* d_parameters) {
  return run_backward<float>(*q, p, u, bz, bh, dy, dp, d_parameters);
}
int rnnpool_backward_f64(const Problem* q, const double* p, const double* u, const double* bz, const double* bh,
                         const double* dy, double* dp, double* d_parameters) {
  return run_backward<double>(*q, p, u, bz, bh, dy, dp, d_parameters);
}
}
