// Runs the blocks of a kernel on the host: the same schedule, the threads of a phase one after the other in any order.
//
// What it watches: shared memory and threads' own numbers start as NaN, shared memory is followed by a fence, and the
// order of threads and blocks is turned around or shuffled. Between barriers, in `each`, shared memory is taken away. A
// kernel that reads what nobody wrote, writes beyond its shared memory or lacks a barrier gives other bits, or stops
// here.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

namespace phantomgrad::cuda {

enum class Order { forward, backward, shuffled };

/// The order of the calls that follow. Set by phantomgrad_host::thread_order.
Order& thread_order();

/// A kernel whose name contains this does nothing, as one would whose launch a device lost; empty: none. Set by
/// phantomgrad_host::break_kernel.
std::string& broken_kernel();

/// Bytes of shared memory that a block may have, as on a device; first an A100's. Set by
/// phantomgrad_host::shared_memory.
int64_t& shared_memory();

/// What the library says when the core asks for its interface: first its own, then what phantomgrad_host::speak set.
int64_t& spoken_interface();

inline std::vector<int> ordered(int count, uint64_t seed) {
  std::vector<int> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  if (thread_order() == Order::backward) return {order.rbegin(), order.rend()};
  if (thread_order() == Order::shuffled)
    for (size_t i = order.size(); i > 1; --i) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      std::swap(order[i - 1], order[(seed >> 33) % i]);
    }
  return order;
}

template <int Threads>
class HostBlock {
 public:
  static constexpr int kThreads = Threads;

  template <class T>
  class Own {
   public:
    explicit Own(HostBlock&) : values_(Threads) { std::memset(values_.data(), 0xFF, Threads * sizeof(T)); }
    T& operator[](int thread) { return values_[static_cast<size_t>(thread)]; }

   private:
    std::vector<T> values_;
  };

  HostBlock(int64_t index, unsigned char* shared, size_t bytes) : index_(index), shared_(shared), bytes_(bytes) {}

  int64_t index() const { return index_; }

  template <class Body>
  void phase(Body body) {
    ++phases_;
    if (thread_order() == Order::forward) {
      for (int thread = 0; thread < Threads; ++thread) body(thread);
      return;
    }
    for (const int thread : ordered(Threads, static_cast<uint64_t>(index_) * 977 + phases_)) body(thread);
  }

  // No barrier stands behind it: what it wrote to shared memory, others could read too early, and what it reads, others
  // could have overwritten. So it sees NaN there and must leave it. One order of three: it costs a copy.
  template <class Body>
  void each(Body body) {
    const bool watched = thread_order() == Order::shuffled && bytes_ > 0;
    std::vector<unsigned char> kept;
    if (watched) {
      kept.assign(shared_, shared_ + bytes_);
      std::memset(shared_, 0xFF, bytes_);
    }
    for (int thread = 0; thread < Threads; ++thread) body(thread);
    if (!watched) return;
    for (size_t i = 0; i < bytes_; ++i)
      if (shared_[i] != 0xFF) {
        std::fprintf(stderr, "a kernel wrote to shared memory without a barrier behind it\n");
        std::abort();
      }
    std::memcpy(shared_, kept.data(), bytes_);
  }

  template <class T>
  T* shared() {
    return reinterpret_cast<T*>(shared_);
  }

 private:
  int64_t index_;
  unsigned char* shared_;
  size_t bytes_;
  uint64_t phases_ = 0;
};

/// Where a launch would go; the host has one place.
class Place {
 public:
  explicit Place(int32_t) {}
  int64_t most_shared() const { return shared_memory(); }
};

template <class Kernel>
void launch(const Place&, int64_t blocks, int64_t shared, const typename Kernel::Params& params) {
  check_grid(blocks);
  if (shared > shared_memory()) throw std::runtime_error("a launch asks for more shared memory than a block may have");
  if (!broken_kernel().empty() && std::strstr(typeid(Kernel).name(), broken_kernel().c_str()) != nullptr) return;
  constexpr size_t kFence = 256;
  constexpr unsigned char kFenceByte = 0xA5;
  const auto bytes = static_cast<size_t>(shared);
  std::vector<unsigned char> memory(bytes + kFence);
  for (const int index : ordered(static_cast<int>(blocks), 1)) {
    std::memset(memory.data(), 0xFF, bytes);
    std::memset(memory.data() + bytes, kFenceByte, kFence);
    HostBlock<Kernel::kThreads> block(index, memory.data(), bytes);
    Kernel::run(block, params);
    for (size_t i = bytes; i < memory.size(); ++i)
      if (memory[i] != kFenceByte) {
        std::fprintf(stderr, "a kernel wrote behind its shared memory of %zu bytes\n", bytes);
        std::abort();
      }
  }
}

}  // namespace phantomgrad::cuda
