// Lines of a strided tensor to and from blocks [position][channel][lane], one line a lane.
#pragma once
#include <algorithm>
#include <memory>
#include <utility>

#include "vector.h"

// Element strides of a tensor addressed as base[image][channel][position][line].
struct Strides {
  int64_t image, channel, position, line;
};

// Room for vectors, aligned for them; its contents are whatever was there. To be made by the thread that calls the
// library: what a thread of a moment allocates comes from fresh pages, whose faults can cost more than its work.
template <typename T> struct Room {
  std::unique_ptr<char[]> bytes;
  V<T>* data = nullptr;
  explicit Room(int64_t vectors) : bytes(new char[size_t(vectors) * sizeof(V<T>) + kVectorBytes]) {
    const auto address = reinterpret_cast<uintptr_t>(bytes.get());
    data = reinterpret_cast<V<T>*>((address + kVectorBytes - 1) / kVectorBytes * kVectorBytes);
  }
};

// The lines of one block. Lanes past the last line repeat it on the way in (harmless work on valid numbers) and are
// dropped on the way out.
template <typename T> struct Lanes {
  int count;
  bool neighbours;  // all lanes are lines of one image, so that line stride 1 makes them one run of memory
  int64_t image[kLanes<T>], line[kLanes<T>];

  Lanes(int64_t images, int64_t lines, int64_t first) {
    const int64_t total = images * lines;
    count = int(std::min<int64_t>(kLanes<T>, total - first));
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      const int64_t at = std::min(first + lane, total - 1);
      image[lane] = at / lines, line[lane] = at % lines;
    }
    neighbours = count == kLanes<T> && image[0] == image[kLanes<T> - 1];
  }
  int64_t offset(int lane, const Strides& s) const { return image[lane] * s.image + line[lane] * s.line; }
};

#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
#define RNNPOOL_SHUFFLE 1
template <typename T, int Step, bool High, int... K>
static inline V<T> blend(V<T> a, V<T> b, std::integer_sequence<int, K...>) {
  constexpr int W = kWidth<T>;
  // Low: a's lanes without the bit Step, then b's moved up by it; high: a's with the bit moved down, then b's.
  if constexpr (High) return __builtin_shufflevector(a, b, ((K & Step) ? K + W : K + Step)...);
  else return __builtin_shufflevector(a, b, ((K & Step) ? K - Step + W : K)...);
}

// Transpose a square of kWidth vectors in place: log2(kWidth) rounds that exchange ever larger sub-squares.
template <typename T, int Step = 1> static inline void transpose(V<T>* rows) {
  constexpr int W = kWidth<T>;
  constexpr auto lanes = std::make_integer_sequence<int, W>();
  for (int i = 0; i < W; ++i)
    if (!(i & Step)) {
      const V<T> a = rows[i], b = rows[i + Step];
      rows[i] = blend<T, Step, false>(a, b, lanes);
      rows[i + Step] = blend<T, Step, true>(a, b, lanes);
    }
  if constexpr (Step * 2 < W) transpose<T, Step * 2>(rows);
}
#endif

template <typename T>
static void gather(int64_t positions, int64_t channels, const T* base, const Lanes<T>& lanes, const Strides& s,
                   T* __restrict block) {
  constexpr int width = kLanes<T>, W = kWidth<T>;
  int64_t offset[width];
  for (int lane = 0; lane < width; ++lane) offset[lane] = lanes.offset(lane, s);
  for (int64_t c = 0; c < channels; ++c) {
    const T* channel = base + c * s.channel;
    T* target = block + c * width;
    if (s.line == 1 && lanes.neighbours) {
      for (int64_t l = 0; l < positions; ++l)
        for (int v = 0; v < NV; ++v)
          store(target + l * channels * width + v * W, load(channel + offset[0] + l * s.position + v * W));
      continue;
    }
    int64_t l = 0;
#ifdef RNNPOOL_SHUFFLE
    if (s.position == 1)
      for (; l + W <= positions; l += W)
        for (int v = 0; v < NV; ++v) {
          V<T> square[W];
          for (int k = 0; k < W; ++k) square[k] = load(channel + offset[v * W + k] + l);
          transpose<T>(square);
          for (int k = 0; k < W; ++k) store(target + (l + k) * channels * width + v * W, square[k]);
        }
#endif
    for (; l < positions; ++l)
      for (int lane = 0; lane < width; ++lane)
        target[l * channels * width + lane] = channel[offset[lane] + l * s.position];
  }
}

template <typename T>
static void scatter(int64_t positions, int64_t channels, const T* __restrict block, const Lanes<T>& lanes,
                    const Strides& s, T* base) {
  constexpr int width = kLanes<T>, W = kWidth<T>;
  int64_t offset[width];
  for (int lane = 0; lane < width; ++lane) offset[lane] = lanes.offset(lane, s);
  for (int64_t c = 0; c < channels; ++c) {
    T* channel = base + c * s.channel;
    const T* source = block + c * width;
    if (s.line == 1 && lanes.neighbours) {
      for (int64_t l = 0; l < positions; ++l)
        for (int v = 0; v < NV; ++v)
          store(channel + offset[0] + l * s.position + v * W, load(source + l * channels * width + v * W));
      continue;
    }
    int64_t l = 0;
#ifdef RNNPOOL_SHUFFLE
    if (s.position == 1)
      for (; l + W <= positions; l += W)
        for (int v = 0; v < NV; ++v) {
          V<T> square[W];
          for (int k = 0; k < W; ++k) square[k] = load(source + (l + k) * channels * width + v * W);
          transpose<T>(square);
          for (int k = 0; k < W && v * W + k < lanes.count; ++k) store(channel + offset[v * W + k] + l, square[k]);
        }
#endif
    for (; l < positions; ++l)
      for (int lane = 0; lane < lanes.count; ++lane)
        channel[offset[lane] + l * s.position] = source[l * channels * width + lane];
  }
}
