// The projection p = W x of every pixel of a map, a 1x1 convolution, forward and backward.
//
// Written for few channels and many pixels: a tile of pixels as wide as two vector registers is read once, all its
// products stay in registers, and a part of the map (rows and columns from the top left corner) is projected without
// copying it first. Gradients of x and W come from one pass over the same tiles.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "lines.h"
#include "products.h"
#include "threads.h"

// Mirrored by _Projection in __init__.py. Columns are neighbours in x, p and their gradients.
struct Projection {
  int64_t images, inputs, outputs, rows, columns;
  int64_t x_image, x_channel, x_row;
  int64_t p_image, p_channel, p_row;
  int64_t dx_image, dx_channel, dx_row;
  int64_t dx_rows, dx_columns;  // the whole of dx, of which x's part is the top left corner
  int32_t threads;
};

constexpr int kTogether = 8;  // tiles whose products with each other are summed in registers

// Pixels [column, column + count) of a row, all channels, to [channel][lane]; lanes beyond are zero.
template <typename T>
static inline void load_tile(const T* base, int64_t by_channel, int64_t channels, int count, V<T>* tile) {
  for (int64_t c = 0; c < channels; ++c, base += by_channel, tile += NV) {
    if (count == kLanes<T>) {
      for (int v = 0; v < NV; ++v) tile[v] = load(base + v * kWidth<T>);
    } else {
      T lanes[kLanes<T>] = {};
      std::copy(base, base + count, lanes);
      for (int v = 0; v < NV; ++v) tile[v] = load(lanes + v * kWidth<T>);
    }
  }
}

template <typename T>
static inline void store_tile(T* base, int64_t by_channel, int64_t channels, int count, const V<T>* tile) {
  for (int64_t c = 0; c < channels; ++c, base += by_channel, tile += NV) {
    if (count == kLanes<T>) {
      for (int v = 0; v < NV; ++v) store(base + v * kWidth<T>, tile[v]);
    } else {
      const T* lanes = reinterpret_cast<const T*>(tile);
      std::copy(lanes, lanes + count, base);
    }
  }
}

// What the threads share out: images, or parts of images where there are fewer images than threads.
struct Parts {
  int64_t of_image, count;
  int threads;

  explicit Parts(const Projection& q) : of_image((q.threads + q.images - 1) / std::max<int64_t>(1, q.images)) {
    count = q.images * of_image, threads = thread_count(q.threads, count);
  }
};

// function(row, column, count) for every tile of a part of an image; rows that follow each other in memory everywhere
// are one long row.
template <typename T, typename Function>
static void for_tiles(const Projection& q, int64_t part, int64_t parts, Function function) {
  const bool one = q.x_row == q.columns && q.p_row == q.columns && q.dx_row == q.columns;
  const int64_t rows = one ? 1 : q.rows, columns = one ? q.rows * q.columns : q.columns;
  const int64_t across = (columns + kLanes<T> - 1) / kLanes<T>, tiles = rows * across;
  int64_t tile = tiles * part / parts, row = tile / across, column = tile % across * kLanes<T>;
  for (const int64_t end = tiles * (part + 1) / parts; tile < end; ++tile) {
    function(row, column, int(std::min<int64_t>(kLanes<T>, columns - column)));
    column += kLanes<T>;
    if (column >= columns) column = 0, ++row;
  }
}

template <typename T> static int project(const Projection& q, const T* x, const T* w, T* p) {
  const int inputs = int(q.inputs), outputs = int(q.outputs);
  std::vector<T> transposed(size_t(inputs) * size_t(outputs));
  for (int i = 0; i < outputs; ++i)
    for (int j = 0; j < inputs; ++j) transposed[size_t(j * outputs + i)] = w[i * inputs + j];
  const Parts parts(q);
  const int64_t room = NV * (q.inputs + q.outputs);
  Room<T> rooms(parts.threads * room);
  in_threads(parts.threads, parts.count, [&](int thread, int64_t from, int64_t to) {
    V<T>*in = rooms.data + thread * room, *out = in + NV * q.inputs;
    for (int64_t at = from; at < to; ++at) {
      const int64_t image = at / parts.of_image;
      for_tiles<T>(q, at % parts.of_image, parts.of_image, [&](int64_t row, int64_t column, int count) {
        load_tile(x + image * q.x_image + row * q.x_row + column, q.x_channel, q.inputs, count, in);
        multiply_add<T>(outputs, inputs, transposed.data(), in, nullptr,
                        [&](int i, int v, V<T> sum) { out[NV * i + v] = sum; });
        store_tile(p + image * q.p_image + row * q.p_row + column, q.p_channel, q.outputs, count, out);
      });
    }
  });
  return 0;
}

// Zeros where dx has rows and columns that were not projected.
template <typename T> static void clear_margins(const Projection& q, T* dx) {
  for (int64_t c = 0; c < q.inputs; ++c, dx += q.dx_channel) {
    for (int64_t row = 0; q.dx_columns > q.columns && row < q.rows; ++row)
      std::fill(dx + row * q.dx_row + q.columns, dx + row * q.dx_row + q.dx_columns, T(0));
    for (int64_t row = q.rows; row < q.dx_rows; ++row)
      std::fill(dx + row * q.dx_row, dx + row * q.dx_row + q.dx_columns, T(0));
  }
}

// What one thread works in; the sums begin at zero.
template <typename T> struct ProjectionRooms {
  Room<T> in, up, out, sums, total;
  explicit ProjectionRooms(const Projection& q)
      : in(kTogether * NV * q.inputs), up(kTogether * NV * q.outputs), out(NV * q.inputs), sums(q.inputs * q.outputs),
        total(q.inputs * q.outputs) {
    std::fill(sums.data, sums.data + q.inputs * q.outputs, V<T>{});
    std::fill(total.data, total.data + q.inputs * q.outputs, V<T>{});
  }
};

// dx may be null. dw (outputs, inputs) is summed over images in a fixed order of threads.
template <typename T>
static int project_backward(const Projection& q, const T* x, const T* w, const T* dp, T* dx, T* dw) {
  const int inputs = int(q.inputs), outputs = int(q.outputs);
  const int64_t size = q.inputs * q.outputs;
  const Parts parts(q);
  std::vector<ProjectionRooms<T>> all_rooms;
  for (int i = 0; i < parts.threads; ++i) all_rooms.emplace_back(q);
  in_threads(parts.threads, parts.count, [&](int thread, int64_t from, int64_t to) {
    auto& rooms = all_rooms[size_t(thread)];
    V<T>*sums = rooms.sums.data, *total = rooms.total.data, *out = rooms.out.data;
    for (int64_t at = from; at < to; ++at) {
      const int64_t image = at / parts.of_image, part = at % parts.of_image;
      int tiles = 0;
      const auto add_products = [&] {
        outer_products<T>(outputs, inputs, tiles, rooms.up.data, rooms.in.data, sums);
        tiles = 0;
      };
      for_tiles<T>(q, part, parts.of_image, [&](int64_t row, int64_t column, int count) {
        V<T>*xs = rooms.in.data + tiles * NV * q.inputs, *ups = rooms.up.data + tiles * NV * q.outputs;
        load_tile(x + image * q.x_image + row * q.x_row + column, q.x_channel, q.inputs, count, xs);
        load_tile(dp + image * q.p_image + row * q.p_row + column, q.p_channel, q.outputs, count, ups);
        if (dx) {
          multiply_add<T>(inputs, outputs, w, ups, nullptr, [&](int i, int v, V<T> sum) { out[NV * i + v] = sum; });
          store_tile(dx + image * q.dx_image + row * q.dx_row + column, q.dx_channel, q.inputs, count, out);
        }
        if (++tiles == kTogether) add_products();
      });
      add_products();
      if (dx && part == 0) clear_margins(q, dx + image * q.dx_image);
      // Each is summed on its own first, which keeps the rounding of long sums down.
      for (int64_t i = 0; i < size; ++i) total[i] += sums[i], sums[i] = V<T>{};
    }
  });
  std::fill(dw, dw + size, T(0));
  for (const auto& rooms : all_rooms)
    for (int64_t i = 0; i < size; ++i) dw[i] += lane_sum<T>(rooms.total.data[i]);
  return 0;
}

extern "C" {
int rnnpool_project_f32(const Projection* q, const float* x, const float* w, float* p) {
  return project(*q, x, w, p);
}
int rnnpool_project_f64(const Projection* q, const double* x, const double* w, double* p) {
  return project(*q, x, w, p);
}
int rnnpool_project_backward_f32(const Projection* q, const float* x, const float* w, const float* dp, float* dx,
                                 float* dw) {
  return project_backward(*q, x, w, dp, dx, dw);
}
int rnnpool_project_backward_f64(const Projection* q, const double* x, const double* w, const double* dp, double* dx,
                                 double* dw) {
  return project_backward(*q, x, w, dp, dx, dw);
}
}
