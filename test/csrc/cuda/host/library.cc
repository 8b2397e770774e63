// The tests' library in one translation unit: every kernel of the plugin on the host executor, registered for the CPU.
// A g++ that is not nvcc compiles the same .cu files. One unit, because LibTorch's headers cost more than our code.
#define PG_SPOKEN_INTERFACE spoken_interface()
#include "cuda/attention.cu"
#include "cuda/dense.cu"
#include "cuda/head.cu"
#include "cuda/index.cu"
#include "cuda/interface.cu"
#include "cuda/norm_layer.cu"
#include "cuda/private_adam.cu"
#include "cuda/stored.cu"
// Not the plugin's:
#include "cpu/private_adam.isa.cc"
#include "host_ops.cc"
