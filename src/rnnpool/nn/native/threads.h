// Blocks of work dealt out to threads: those of OpenMP, which PyTorch's operators use as well, or where the compiler has
// none, threads of the moment. (Two pools would fight for the cores: OpenMP's threads wait for work in a loop.)
#pragma once
#include <algorithm>
#include <cstdint>
#ifndef _OPENMP
#include <thread>
#include <vector>
#endif

static inline int thread_count(int threads, int64_t blocks) {
  return int(std::max<int64_t>(1, std::min<int64_t>(threads, blocks)));
}

// function(thread, first block, block after its last) for every thread.
template <typename Function> static void in_threads(int most, int64_t blocks, Function function) {
  const int threads = thread_count(most, blocks);
  const auto run = [&](int i) { function(i, blocks * i / threads, blocks * (i + 1) / threads); };
  if (threads == 1) return run(0);
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int i = 0; i < threads; ++i) run(i);
#else
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
  run(0);
  for (auto& thread : others) thread.join();
#endif
}
