// Chooses the instruction set once, from the processor and two environment variables.
#include "cpu/isa.h"

#include <cstdlib>
#include <string_view>

namespace phantomgrad::cpu {
namespace {

Isa best_of_processor() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
  return Isa::baseline;
}

Isa cap(Isa level, const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr) return level;
  const std::string_view name(value);
  const Isa most = name == "baseline" || name == "default" ? Isa::baseline : name == "avx2" ? Isa::avx2 : Isa::avx512;
  return level < most ? level : most;
}

}  // namespace

Isa isa() {
  static const Isa level = cap(cap(best_of_processor(), "ATEN_CPU_CAPABILITY"), "PHANTOMGRAD_ISA");
  return level;
}

}  // namespace phantomgrad::cpu
