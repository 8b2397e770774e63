// The tests' library in one translation unit: every kernel of the plugin on the host executor, registered for the CPU.
// A g++ that is not nvcc compiles the same .cu files. One unit, because LibTorch's headers cost more than our code.
#include "cuda/private_adam.cu"
// Not the plugin's:
#include "cpu/private_adam.isa.cc"
#include "host_ops.cc"
