// phantomgrad_cuda::interface: the version that the core asks for before it believes anything else.
#include "cuda/arguments.h"
#include "shared/plugin_interface.h"

// The tests' build for the host says what its test wants.
#if !defined(PG_SPOKEN_INTERFACE)
#define PG_SPOKEN_INTERFACE kPluginInterface
#endif

namespace phantomgrad::cuda {
namespace {

int64_t plugin_interface() { return PG_SPOKEN_INTERFACE; }

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) { m.def("interface() -> int"); }

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("interface", TORCH_BOX(&plugin_interface));
}

}  // namespace phantomgrad::cuda
