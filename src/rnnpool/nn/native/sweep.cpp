// A FastGRNN swept over every window of every line of a feature map, forward and backward.
//
// Line: the L positions along the swept axis at one (image, position on the other axis). Sixteen lines (eight in
// float64) fill the lanes of two vector registers and advance together: a state is an (h x lanes) block that stays in
// the first-level cache for a whole window, so a step costs h*h fused multiply-adds a lane pair and no memory traffic.
//
//   pre = p[l] + U h;  z = sigmoid(pre + b_z);  c = tanh(pre + b_h);  h <- z h + (zeta (1 - z) + nu) c;  h_0 = 0
//
// (RNNPool, section 3 and Algorithm 1; FastGRNN: Kusupati et al., NeurIPS 2018, equation 2). p = W x is given. Nothing
// but p is kept for the backward pass: a window's states are recomputed, which costs less than writing and reading
// them. Plain C interface: no PyTorch headers, so it compiles in seconds and survives an upgrade of PyTorch.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <typename T> struct Vec { typedef T type __attribute__((vector_size(kVectorBytes))); };
template <typename T> using V = typename Vec<T>::type;
template <typename T> constexpr int kWidth = kVectorBytes / int(sizeof(T));
constexpr int NV = 2;                                        // vectors that advance together
template <typename T> constexpr int kLanes = NV * kWidth<T>;

template <typename T> static inline V<T> splat(T value) { return V<T>{} + value; }

// What one call works on. Tensors are addressed as base[image][channel][position][line] through element strides.
struct Problem {
  int64_t images, channels, length, lines, kernel, stride, windows;
  int64_t p_image, p_channel, p_position, p_line;
  int64_t y_image, y_channel, y_window, y_line;
  int64_t dp_image, dp_channel, dp_position, dp_line;
  int32_t directions;  // 1: first to last; 2: also last to first, in the next `channels` channels of y
  int32_t piecewise;   // gates: 0 sigmoid and tanh, 1 clip((x + 1) / 2, 0, 1) and clip(x, -1, 1)
  int32_t threads;
  double zeta, nu;
};

// ---------------------------------------------------------------------------------------------------------- gates

// exp on a vector: 2^n * polynomial, |relative error| < 2e-7. The argument is already clamped to [-40, 40].
static inline V<float> exponential(V<float> x) {
  typedef int32_t I __attribute__((vector_size(kVectorBytes)));
  const V<float> shifted = x * 1.44269504f + 12582912.f;      // 1.5 * 2^23: n ends up in the low mantissa bits
  const V<float> n = shifted - 12582912.f;
  const V<float> r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  V<float> poly = splat(1.9875691500e-4f);
  poly = poly * r + 1.3981999507e-3f;
  poly = poly * r + 8.3334519073e-3f;
  poly = poly * r + 4.1665795894e-2f;
  poly = poly * r + 1.6666665459e-1f;
  poly = poly * r + 5.0000001201e-1f;
  poly = poly * r * r + r + 1.f;
  I n_bits, poly_bits;
  std::memcpy(&n_bits, &shifted, sizeof n_bits);
  std::memcpy(&poly_bits, &poly, sizeof poly_bits);
  poly_bits += n_bits << 23;
  std::memcpy(&poly, &poly_bits, sizeof poly);
  return poly;
}

static inline V<double> exponential(V<double> x) {
  for (int i = 0; i < kWidth<double>; ++i) x[i] = std::exp(x[i]);
  return x;
}

// One exponential serves both gates: with e = exp(-(pre + b_h)), tanh = (1 - e^2) / (1 + e^2) and
// sigmoid = 1 / (1 + e * exp(b_h - b_z)). Beyond |40| both are saturated for every bias that kMaxBiasGap admits.
constexpr double kMaxBiasGap = 20.0;

template <typename T, bool Piecewise>
static inline void gates(V<T> pre, T bias_gate, T bias_candidate, T ratio, V<T>& z, V<T>& c) {
  if constexpr (Piecewise) {
    z = (pre + bias_gate + T(1)) * T(0.5);
    z = z < T(0) ? splat(T(0)) : (z > T(1) ? splat(T(1)) : z);
    c = pre + bias_candidate;
    c = c < T(-1) ? splat(T(-1)) : (c > T(1) ? splat(T(1)) : c);
  } else {
    V<T> a = -(pre + bias_candidate);
    a = a < T(-40) ? splat(T(-40)) : (a > T(40) ? splat(T(40)) : a);
    const V<T> e = exponential(a);
    const V<T> e2 = e * e;
    z = T(1) / (T(1) + e * ratio);
    c = (T(1) - e2) / (T(1) + e2);
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

// ------------------------------------------------------------------------------------------------- small products

// out[i] = base[i] + sum_j M[j * h + i] * in[j], for h rows of NV vectors.
template <typename T>
static inline void multiply_add(int h, const T* __restrict m, const V<T>* __restrict in, const V<T>* __restrict base,
                                V<T>* __restrict out) {
  int i = 0;
  for (; i + 4 <= h; i += 4) {
    V<T> a0 = base[2 * i], a1 = base[2 * i + 1], b0 = base[2 * i + 2], b1 = base[2 * i + 3];
    V<T> c0 = base[2 * i + 4], c1 = base[2 * i + 5], d0 = base[2 * i + 6], d1 = base[2 * i + 7];
    for (int j = 0; j < h; ++j) {
      const V<T> x0 = in[2 * j], x1 = in[2 * j + 1];
      const T* row = m + int64_t(j) * h + i;
      a0 += row[0] * x0, a1 += row[0] * x1, b0 += row[1] * x0, b1 += row[1] * x1;
      c0 += row[2] * x0, c1 += row[2] * x1, d0 += row[3] * x0, d1 += row[3] * x1;
    }
    out[2 * i] = a0, out[2 * i + 1] = a1, out[2 * i + 2] = b0, out[2 * i + 3] = b1;
    out[2 * i + 4] = c0, out[2 * i + 5] = c1, out[2 * i + 6] = d0, out[2 * i + 7] = d1;
  }
  for (; i < h; ++i) {
    V<T> a0 = base[2 * i], a1 = base[2 * i + 1];
    for (int j = 0; j < h; ++j) {
      const T weight = m[int64_t(j) * h + i];
      a0 += weight * in[2 * j], a1 += weight * in[2 * j + 1];
    }
    out[2 * i] = a0, out[2 * i + 1] = a1;
  }
}

// acc[i * h + j] += sum over `rows` of left[row][i] * right[row][j], lane by lane; lanes are summed once, at the end.
template <typename T>
static inline void outer_products(int h, int rows, const V<T>* __restrict left, const V<T>* __restrict right,
                                  V<T>* __restrict acc) {
  const int step = NV * h;
  for (int i = 0; i < h; i += 2) {
    const bool pair = i + 1 < h;
    int j = 0;
    for (; pair && j + 4 <= h; j += 4) {
      V<T>* a = acc + int64_t(i) * h + j;
      V<T>* b = a + h;
      V<T> s0 = a[0], s1 = a[1], s2 = a[2], s3 = a[3], t0 = b[0], t1 = b[1], t2 = b[2], t3 = b[3];
      for (int r = 0; r < rows; ++r)
        for (int v = 0; v < NV; ++v) {
          const V<T>* x = left + int64_t(r) * step + NV * i + v;
          const V<T>* y = right + int64_t(r) * step + NV * j + v;
          const V<T> x0 = x[0], x1 = x[NV];
          s0 += x0 * y[0], s1 += x0 * y[NV], s2 += x0 * y[2 * NV], s3 += x0 * y[3 * NV];
          t0 += x1 * y[0], t1 += x1 * y[NV], t2 += x1 * y[2 * NV], t3 += x1 * y[3 * NV];
        }
      a[0] = s0, a[1] = s1, a[2] = s2, a[3] = s3, b[0] = t0, b[1] = t1, b[2] = t2, b[3] = t3;
    }
    for (int ii = i; ii < std::min(i + 2, h); ++ii)
      for (int jj = j; jj < h; ++jj) {
        V<T> sum = acc[int64_t(ii) * h + jj];
        for (int r = 0; r < rows; ++r)
          for (int v = 0; v < NV; ++v)
            sum += left[int64_t(r) * step + NV * ii + v] * right[int64_t(r) * step + NV * jj + v];
        acc[int64_t(ii) * h + jj] = sum;
      }
  }
}

// -------------------------------------------------------------------------------------------------- lines in lanes

// Copies between a strided tensor and a block [position][channel][lane]. Lanes past the last line repeat it on the
// way in (harmless work on valid numbers) and are dropped on the way out.
template <typename T> struct Block {
  int count;
  int64_t p_offset[kLanes<T>], y_offset[kLanes<T>], dp_offset[kLanes<T>];

  Block(const Problem& q, int64_t first) {
    const int64_t total = q.images * q.lines;
    count = int(std::min<int64_t>(kLanes<T>, total - first));
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const int64_t line = std::min(first + lane, total - 1);
      p_offset[lane] = line / q.lines * q.p_image + line % q.lines * q.p_line;
      y_offset[lane] = line / q.lines * q.y_image + line % q.lines * q.y_line;
      dp_offset[lane] = line / q.lines * q.dp_image + line % q.lines * q.dp_line;
    }
  }
};

template <typename T>
static void gather(int64_t positions, int64_t channels, const T* base, const int64_t* lane_offset, int64_t by_position,
                   int64_t by_channel, T* __restrict block) {
  constexpr int lanes = kLanes<T>;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t l = 0; l < positions; ++l) {
      const T* source = base + c * by_channel + l * by_position;
      T* target = block + (l * channels + c) * lanes;
      for (int lane = 0; lane < lanes; ++lane) target[lane] = source[lane_offset[lane]];
    }
}

template <typename T>
static void scatter(int64_t positions, int64_t channels, const T* __restrict block, const int64_t* lane_offset,
                    int count, int64_t by_position, int64_t by_channel, T* base) {
  constexpr int lanes = kLanes<T>;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t l = 0; l < positions; ++l) {
      T* target = base + c * by_channel + l * by_position;
      const T* source = block + (l * channels + c) * lanes;
      for (int lane = 0; lane < count; ++lane) target[lane_offset[lane]] = source[lane];
    }
}

// Room for vectors, aligned for them.
template <typename T> struct Room {
  std::vector<char> bytes;
  V<T>* data = nullptr;
  void reserve(int64_t vectors) {
    bytes.assign(size_t(vectors) * sizeof(V<T>) + kVectorBytes, 0);
    const auto address = reinterpret_cast<uintptr_t>(bytes.data());
    data = reinterpret_cast<V<T>*>((address + kVectorBytes - 1) / kVectorBytes * kVectorBytes);
  }
};

// --------------------------------------------------------------------------------------------------------- sweeps

template <typename T> struct Cell {
  int h;
  const T *u_t, *u, *bias_gate, *bias_candidate;  // u_t[j * h + i] = u[i * h + j]: weight of h_j in unit i
  std::vector<T> ratio;                           // exp(b_h - b_z)
  T zeta, nu;
};

// Position of step t of window w in the given direction.
static inline int64_t position_of(const Problem& q, int64_t window, int64_t t, bool reverse) {
  return window * q.stride + (reverse ? q.kernel - 1 - t : t);
}

// One step for all units: from state `h` (null: zero) and projected input `p` to `next`; z and c are kept if asked.
template <typename T, bool Piecewise>
static inline void step(const Cell<T>& cell, const V<T>* p, const V<T>* h, V<T>* pre, V<T>* next, V<T>* z_out,
                        V<T>* c_out) {
  const V<T>* input = p;
  if (h) {
    multiply_add<T>(cell.h, cell.u_t, h, p, pre);
    input = pre;
  }
  for (int i = 0; i < cell.h; ++i)
    for (int v = 0; v < NV; ++v) {
      const int at = NV * i + v;
      V<T> z, c;
      gates<T, Piecewise>(input[at], cell.bias_gate[i], cell.bias_candidate[i], cell.ratio[size_t(i)], z, c);
      const V<T> fresh = (cell.zeta * (T(1) - z) + cell.nu) * c;
      next[at] = h ? z * h[at] + fresh : fresh;
      if (z_out) z_out[at] = z, c_out[at] = c;
    }
}

template <typename T, bool Piecewise>
static void forward_blocks(const Problem& q, const Cell<T>& cell, const T* p, T* y, int64_t from, int64_t to) {
  const int h = cell.h, row = NV * h;
  Room<T> line, state, pre, result;
  line.reserve(q.length * row), state.reserve(2 * row), pre.reserve(row), result.reserve(q.windows * row);
  for (int64_t block = from; block < to; ++block) {
    const Block<T> lanes(q, block * kLanes<T>);
    gather(q.length, q.channels, p, lanes.p_offset, q.p_position, q.p_channel, reinterpret_cast<T*>(line.data));
    for (int direction = 0; direction < q.directions; ++direction) {
      for (int64_t w = 0; w < q.windows; ++w) {
        V<T>* current = nullptr;
        for (int64_t t = 0; t < q.kernel; ++t) {
          V<T>* next = t + 1 == q.kernel ? result.data + w * row : state.data + (t & 1) * row;
          const V<T>* input = line.data + position_of(q, w, t, direction == 1) * row;
          step<T, Piecewise>(cell, input, current, pre.data, next, nullptr, nullptr);
          current = next;
        }
      }
      scatter(q.windows, q.channels, reinterpret_cast<const T*>(result.data), lanes.y_offset, lanes.count, q.y_window,
              q.y_channel, y + direction * q.channels * q.y_channel);
    }
  }
}

// Sums over lines that one thread gathers; lanes are added up once at the end.
template <typename T> struct Sums {
  Room<T> u, bias_gate, bias_candidate;
  V<T> zeta{}, nu{};
  explicit Sums(int h) { u.reserve(int64_t(h) * h), bias_gate.reserve(h), bias_candidate.reserve(h); }
};

template <typename T, bool Piecewise>
static void backward_blocks(const Problem& q, const Cell<T>& cell, const T* p, const T* dy, T* dp, Sums<T>& sums,
                            int64_t from, int64_t to) {
  const int h = cell.h, row = NV * h;
  Room<T> line, dline, dresult, pre, states, zs, cs, dpre, dstate;
  line.reserve(q.length * row), dline.reserve(q.length * row), dresult.reserve(q.windows * row), pre.reserve(row);
  states.reserve(q.kernel * row), zs.reserve(q.kernel * row), cs.reserve(q.kernel * row);
  dpre.reserve(q.kernel * row), dstate.reserve(2 * row);
  for (int64_t block = from; block < to; ++block) {
    const Block<T> lanes(q, block * kLanes<T>);
    gather(q.length, q.channels, p, lanes.p_offset, q.p_position, q.p_channel, reinterpret_cast<T*>(line.data));
    std::fill(dline.data, dline.data + q.length * row, V<T>{});
    for (int direction = 0; direction < q.directions; ++direction) {
      gather(q.windows, q.channels, dy + direction * q.channels * q.y_channel, lanes.y_offset, q.y_window, q.y_channel,
             reinterpret_cast<T*>(dresult.data));
      // A lane that repeats the last line must not count twice in the sums.
      for (int64_t at = 0; at < q.windows * q.channels; ++at)
        for (int lane = lanes.count; lane < kLanes<T>; ++lane)
          reinterpret_cast<T*>(dresult.data)[at * kLanes<T> + lane] = T(0);
      for (int64_t w = 0; w < q.windows; ++w) {
        for (int64_t t = 0; t < q.kernel; ++t)
          step<T, Piecewise>(cell, line.data + position_of(q, w, t, direction == 1) * row,
                             t ? states.data + (t - 1) * row : nullptr, pre.data, states.data + t * row,
                             zs.data + t * row, cs.data + t * row);
        const V<T>* dh = dresult.data + w * row;
        for (int64_t t = q.kernel - 1; t >= 0; --t) {
          const V<T>* before = t ? states.data + (t - 1) * row : nullptr;
          const V<T>*z = zs.data + t * row, *c = cs.data + t * row;
          V<T>* d = dpre.data + t * row;
          V<T>* dbefore = dstate.data + (t & 1) * row;
          V<T>* dinput = dline.data + position_of(q, w, t, direction == 1) * row;
          for (int i = 0; i < h; ++i)
            for (int v = 0; v < NV; ++v) {
              const int at = NV * i + v;
              const V<T> kept = T(1) - z[at];
              const V<T> dz = dh[at] * ((before ? before[at] : V<T>{}) - cell.zeta * c[at]);
              const V<T> dgate = dz * slope_gate<T, Piecewise>(z[at]);
              const V<T> dcandidate = dh[at] * (cell.zeta * kept + cell.nu) * slope_candidate<T, Piecewise>(c[at]);
              d[at] = dgate + dcandidate;
              dinput[at] += d[at];
              sums.bias_gate.data[i] += dgate;
              sums.bias_candidate.data[i] += dcandidate;
              sums.zeta += dh[at] * kept * c[at];
              sums.nu += dh[at] * c[at];
              dbefore[at] = dh[at] * z[at];
            }
          if (t) {
            V<T>* total = pre.data;
            multiply_add<T>(h, cell.u, d, dbefore, total);
            std::copy(total, total + row, dbefore);
          }
          dh = dbefore;
        }
        // dU[i][j] = sum_t dpre_t[i] h_(t-1)[j]: step t pairs with the state before it.
        outer_products<T>(h, int(q.kernel) - 1, dpre.data + row, states.data, sums.u.data);
      }
    }
    scatter(q.length, q.channels, reinterpret_cast<const T*>(dline.data), lanes.dp_offset, lanes.count,
            q.dp_position, q.dp_channel, dp);
  }
}

template <typename Function> static void in_threads(int threads, int64_t blocks, Function function) {
  threads = int(std::max<int64_t>(1, std::min<int64_t>(threads, blocks)));
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i)
    others.emplace_back([=, &function] { function(i, blocks * i / threads, blocks * (i + 1) / threads); });
  function(0, 0, blocks / threads);
  for (auto& thread : others) thread.join();
}

template <typename T>
static bool make_cell(const Problem& q, const T* u, const T* bias_gate, const T* bias_candidate, std::vector<T>& u_t,
                      Cell<T>& cell) {
  const int h = int(q.channels);
  u_t.resize(size_t(h) * size_t(h));
  for (int i = 0; i < h; ++i)
    for (int j = 0; j < h; ++j) u_t[size_t(j * h + i)] = u[i * h + j];
  cell = Cell<T>{h, u_t.data(), u, bias_gate, bias_candidate, std::vector<T>(size_t(h)), T(q.zeta), T(q.nu)};
  for (int i = 0; i < h; ++i) {
    const double gap = double(bias_candidate[i]) - double(bias_gate[i]);
    if (!(std::fabs(gap) <= kMaxBiasGap)) return false;
    cell.ratio[size_t(i)] = T(std::exp(gap));
  }
  return true;
}

template <typename T> static int64_t block_count(const Problem& q) {
  return (q.images * q.lines + kLanes<T> - 1) / kLanes<T>;
}

template <typename T>
static int run_forward(const Problem& q, const T* p, const T* u, const T* bias_gate, const T* bias_candidate, T* y) {
  std::vector<T> u_t;
  Cell<T> cell;
  if (!make_cell(q, u, bias_gate, bias_candidate, u_t, cell)) return 1;
  in_threads(q.threads, block_count<T>(q), [&](int, int64_t from, int64_t to) {
    if (q.piecewise) forward_blocks<T, true>(q, cell, p, y, from, to);
    else forward_blocks<T, false>(q, cell, p, y, from, to);
  });
  return 0;
}

template <typename T> static T lane_sum(V<T> v) {
  T sum = 0;
  for (int i = 0; i < kWidth<T>; ++i) sum += v[i];
  return sum;
}

// d_parameters: h*h of U, h of b_z, h of b_h, zeta, nu; summed over all lines in a fixed order of threads.
template <typename T>
static int run_backward(const Problem& q, const T* p, const T* u, const T* bias_gate, const T* bias_candidate,
                        const T* dy, T* dp, T* d_parameters) {
  std::vector<T> u_t;
  Cell<T> cell;
  if (!make_cell(q, u, bias_gate, bias_candidate, u_t, cell)) return 1;
  const int h = cell.h;
  const int threads = int(std::max<int64_t>(1, std::min<int64_t>(q.threads, block_count<T>(q))));
  std::vector<Sums<T>> sums;
  for (int i = 0; i < threads; ++i) sums.emplace_back(h);
  in_threads(threads, block_count<T>(q), [&](int thread, int64_t from, int64_t to) {
    if (q.piecewise) backward_blocks<T, true>(q, cell, p, dy, dp, sums[size_t(thread)], from, to);
    else backward_blocks<T, false>(q, cell, p, dy, dp, sums[size_t(thread)], from, to);
  });
  std::fill(d_parameters, d_parameters + h * h + 2 * h + 2, T(0));
  for (const auto& part : sums) {
    T* out = d_parameters;
    for (int i = 0; i < h * h; ++i) *out++ += lane_sum<T>(part.u.data[i]);
    for (int i = 0; i < h; ++i) *out++ += lane_sum<T>(part.bias_gate.data[i]);
    for (int i = 0; i < h; ++i) *out++ += lane_sum<T>(part.bias_candidate.data[i]);
    *out++ += lane_sum<T>(part.zeta);
    *out++ += lane_sum<T>(part.nu);
  }
  return 0;
}

// All functions return 0, or 1 when |b_h - b_z| is beyond what the shared exponential is exact for.
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
