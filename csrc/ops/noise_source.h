// Keys of the noise: made here, used here, wiped here, never shown to JavaScript, logs or files.
#pragma once

#include <cstdint>

#include "shared/noise_layout.h"

namespace phantomgrad {

/// The right to one key stream, wiped at the end of its scope. There is no way to get the same stream twice: the step
/// in the nonce belongs to the source, and taking a stream moves it on.
class UsedStream {
 public:
  /// Takes the next step of source `id` (0 where no noise is wanted: then the stream is all zeros and must not be
  /// read).
  /// @throws ERR_INVALID_ARGUMENT for an unknown or released source.
  explicit UsedStream(int64_t id);
  ~UsedStream();
  UsedStream(const UsedStream&) = delete;
  UsedStream& operator=(const UsedStream&) = delete;

  const ChaChaStream& get() const { return stream_; }

 private:
  ChaChaStream stream_ = {};
};

}  // namespace phantomgrad
