// Which instruction set kernels run with: each *.isa.cc file is compiled once for every level listed here.
#pragma once

namespace phantomgrad::cpu {

enum class Isa { baseline, avx2, avx512 };

/// The best level of this processor, capped by PHANTOMGRAD_ISA (baseline | avx2 | avx512) and by LibTorch's own
/// ATEN_CPU_CAPABILITY (default | avx2 | avx512). Read once.
Isa isa();

}  // namespace phantomgrad::cpu

/// Declares the same functions in the namespace of every level.
#define PG_EVERY_ISA(...) \
  namespace baseline {    \
  __VA_ARGS__             \
  }                       \
  namespace avx2 {        \
  __VA_ARGS__             \
  }                       \
  namespace avx512 {      \
  __VA_ARGS__             \
  }

/// Calls `function` (a name or a template-id, in the last argument group's place) of the level in use:
/// PG_CALL((gemm<float>), m, n, k, ...).
#define PG_STRIP_(...) __VA_ARGS__
#define PG_CALL(function, ...)                                       \
  (::phantomgrad::cpu::isa() == ::phantomgrad::cpu::Isa::avx512      \
       ? ::phantomgrad::cpu::avx512::PG_STRIP_ function(__VA_ARGS__) \
   : ::phantomgrad::cpu::isa() == ::phantomgrad::cpu::Isa::avx2      \
       ? ::phantomgrad::cpu::avx2::PG_STRIP_ function(__VA_ARGS__)   \
       : ::phantomgrad::cpu::baseline::PG_STRIP_ function(__VA_ARGS__))
