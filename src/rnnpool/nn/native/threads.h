// Blocks of work dealt out to threads.
#pragma once
#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

static inline int thread_count(int threads, int64_t blocks) {
  return int(std::max<int64_t>(1, std::min<int64_t>(threads, blocks)));
}

// function(thread, first block, block after its last) on every thread.
template <typename Function> static void in_threads(int most, int64_t blocks, Function function) {
  const int threads = thread_count(most, blocks);
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i)
    others.emplace_back([=, &function] { function(i, blocks * i / threads, blocks * (i + 1) / threads); });
  function(0, 0, blocks / threads);
  for (auto& thread : others) thread.join();
}
