// Uninitialised memory for kernels: a vector would spend a pass on zeros that are overwritten at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace phantomgrad {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) : data_(new T[static_cast<size_t>(size)]), size_(size) {}

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  std::unique_ptr<T[]> data_;
  int64_t size_ = 0;
};

}  // namespace phantomgrad
