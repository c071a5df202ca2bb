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

// What the threads share out: blocks of lines, each with all its directions, or one direction of a block each where
// there are so few blocks that threads would have nothing to do.
struct Shares {
  int64_t blocks;
  int32_t parts;  // of a block
  int threads;

  Shares(const Problem& q, int64_t lanes) : blocks((q.images * q.lines + lanes - 1) / lanes) {
    parts = q.threads > 1 && blocks < 2 * q.threads ? q.directions : 1;
    threads = thread_count(q.threads, count());
  }
  int64_t count() const { return blocks * parts; }
  int64_t block(int64_t share) const { return share / parts; }
  int first_direction(int64_t share) const { return int(share % parts); }
  int end_direction(int64_t share, const Problem& q) const { return parts == 1 ? q.directions : int(share % parts) + 1; }
};

template <typename T> struct ForwardRooms {
  Room<T> line, state, result;
  explicit ForwardRooms(const Problem& q)
      : line(q.length * NV * q.channels), state(2 * NV * q.channels), result(q.windows * NV * q.channels) {}
};

template <typename T, bool Piecewise>
static void forward_share(const Problem& q, const Cell<T>& cell, const T* p, T* y, ForwardRooms<T>& rooms, int64_t block,
                          int first_direction, int end_direction) {
  const int row = NV * cell.h;
  const Lanes<T> lanes(q.images, q.lines, block * kLanes<T>);
  gather(q.length, q.channels, p, lanes, q.p, reinterpret_cast<T*>(rooms.line.data));
  for (int direction = first_direction; direction < end_direction; ++direction) {
    for (int64_t w = 0; w < q.windows; ++w) {
      const V<T>* current = nullptr;
      for (int64_t t = 0; t < q.kernel; ++t) {
        V<T>* next = t + 1 == q.kernel ? rooms.result.data + w * row : rooms.state.data + (t & 1) * row;
        const V<T>* input = rooms.line.data + position_of(q, w, t, direction) * row;
        step<T, Piecewise, false>(cell, input, current, next, nullptr, nullptr);
        current = next;
      }
    }
    scatter(q.windows, q.channels, reinterpret_cast<const T*>(rooms.result.data), lanes, q.y,
            y + direction * q.channels * q.y.channel);
  }
}

// Sums over the lines of one thread, lane by lane: h*h of U, h of b_z, h of b_h, zeta, nu. A block is summed on its own
// and then added to the total, which keeps the rounding of long sums down.
template <typename T> struct Sums {
  int64_t size;
  Room<T> total, block;
  explicit Sums(int64_t h) : size(h * h + 2 * h + 2), total(size), block(size) {
    std::fill(total.data, total.data + size, V<T>{});
    std::fill(block.data, block.data + size, V<T>{});
  }
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

template <typename T> struct BackwardRooms {
  Room<T> line, dresult, dstate, states, zs, cs, dpre;
  Sums<T> sums;
  explicit BackwardRooms(const Problem& q)
      : line(q.length * NV * q.channels), dresult(q.windows * NV * q.channels), dstate(2 * NV * q.channels),
        states(q.kernel * NV * q.channels), zs(q.kernel * NV * q.channels), cs(q.kernel * NV * q.channels),
        dpre(q.kernel * NV * q.channels), sums(q.channels) {}
};

// dline: of the block's lines, for each of these directions one after the other, so that their sum is the same
// whichever threads they come from.
template <typename T, bool Piecewise>
static void backward_share(const Problem& q, const Cell<T>& cell, const T* p, const T* dy, BackwardRooms<T>& rooms,
                           V<T>* dline, int64_t block, int first_direction, int end_direction) {
  const int h = cell.h, row = NV * h;
  V<T>*states = rooms.states.data, *zs = rooms.zs.data, *cs = rooms.cs.data, *dpre = rooms.dpre.data;
  const Lanes<T> lanes(q.images, q.lines, block * kLanes<T>);
  gather(q.length, q.channels, p, lanes, q.p, reinterpret_cast<T*>(rooms.line.data));
  for (int direction = first_direction; direction < end_direction; ++direction, dline += q.length * row) {
    std::fill(dline, dline + q.length * row, V<T>{});
    T* upstream = reinterpret_cast<T*>(rooms.dresult.data);
    gather(q.windows, q.channels, dy + direction * q.channels * q.y.channel, lanes, q.y, upstream);
    // A lane that repeats the last line must not count twice in the sums.
    for (int64_t at = 0; at < q.windows * q.channels; ++at)
      for (int lane = lanes.count; lane < kLanes<T>; ++lane) upstream[at * kLanes<T> + lane] = T(0);
    for (int64_t w = 0; w < q.windows; ++w) {
      for (int64_t t = 0; t < q.kernel; ++t)
        step<T, Piecewise, true>(cell, rooms.line.data + position_of(q, w, t, direction) * row,
                                 t ? states + (t - 1) * row : nullptr, states + t * row, zs + t * row, cs + t * row);
      const V<T>* dh = rooms.dresult.data + w * row;
      for (int64_t t = q.kernel - 1; t >= 0; --t) {
        V<T>*d = dpre + t * row, *dkept = rooms.dstate.data, *dbefore = rooms.dstate.data + row;
        step_back<T, Piecewise>(cell, dh, t ? states + (t - 1) * row : nullptr, zs + t * row, cs + t * row, d,
                                dline + position_of(q, w, t, direction) * row, dkept, rooms.sums.block.data);
        if (t) multiply_add<T>(h, h, cell.u, d, dkept, [&](int i, int v, V<T> sum) { dbefore[NV * i + v] = sum; });
        dh = dbefore;
      }
      // dU[i][j] = sum_t dpre_t[i] h_(t-1)[j]: step t pairs with the state before it.
      outer_products<T>(h, h, int(q.kernel) - 1, dpre + row, states, rooms.sums.block.data);
    }
  }
  rooms.sums.end_block();
}

// The block's gradient: the sum over directions of `dline`, of which the first is overwritten.
template <typename T> static void add_directions(const Problem& q, V<T>* dline, int64_t block, T* dp) {
  const int64_t size = q.length * NV * q.channels;
  for (int direction = 1; direction < q.directions; ++direction)
    for (int64_t i = 0; i < size; ++i) dline[i] += dline[direction * size + i];
  scatter(q.length, q.channels, reinterpret_cast<const T*>(dline), Lanes<T>(q.images, q.lines, block * kLanes<T>), q.dp,
          dp);
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
  const Shares shares(q, kLanes<T>);
  std::vector<ForwardRooms<T>> rooms;
  for (int i = 0; i < shares.threads; ++i) rooms.emplace_back(q);
  in_threads(shares.threads, shares.count(), [&](int thread, int64_t from, int64_t to) {
    const auto run = q.piecewise ? forward_share<T, true> : forward_share<T, false>;
    for (int64_t i = from; i < to; ++i)
      run(q, cell, p, y, rooms[size_t(thread)], shares.block(i), shares.first_direction(i), shares.end_direction(i, q));
  });
  return 0;
}

// d_parameters: the entries of Sums, summed over all lines in a fixed order of threads.
template <typename T>
static int run_backward(const Problem& q, const T* p, const T* u, const T* bias_gate, const T* bias_candidate,
                        const T* dy, T* dp, T* d_parameters) {
  Cell<T> cell;
  if (!make_cell(q, u, bias_gate, bias_candidate, cell)) return 1;
  const Shares shares(q, kLanes<T>);
  const int64_t size = q.length * NV * q.channels;
  std::vector<BackwardRooms<T>> rooms;
  for (int i = 0; i < shares.threads; ++i) rooms.emplace_back(q);
  // Whole blocks are done with at once; the directions of a block that threads share are added when all have ended.
  const bool whole = shares.parts == 1;
  Room<T> dlines((whole ? shares.threads : shares.blocks) * q.directions * size);
  in_threads(shares.threads, shares.count(), [&](int thread, int64_t from, int64_t to) {
    const auto run = q.piecewise ? backward_share<T, true> : backward_share<T, false>;
    for (int64_t i = from; i < to; ++i) {
      V<T>* dline = dlines.data + (whole ? thread * q.directions : i) * size;
      run(q, cell, p, dy, rooms[size_t(thread)], dline, shares.block(i), shares.first_direction(i),
          shares.end_direction(i, q));
      if (whole) add_directions(q, dline, i, dp);
    }
  });
  for (int64_t block = 0; !whole && block < shares.blocks; ++block)
    add_directions(q, dlines.data + block * q.directions * size, block, dp);
  const int64_t count = rooms[0].sums.size;
  std::fill(d_parameters, d_parameters + count, T(0));
  for (const auto& room : rooms)
    for (int64_t i = 0; i < count; ++i) d_parameters[i] += lane_sum<T>(room.sums.total.data[i]);
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
