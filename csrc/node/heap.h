// How the C library's heap treats memory that training frees and takes again a millisecond later.
#pragma once

namespace phantomgrad {

/// Keeps up to 512 MiB of freed memory for the next step instead of returning it to the system. A training step frees
/// and takes the same tens of megabytes over and over: giving the pages back and clearing them anew was 4 to 12 % of
/// its time. Leaves a choice made in the environment (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_) alone.
void keep_freed_memory();

}  // namespace phantomgrad
