// Registers that each kernel may use on A100 and H100: measured with nvcc 13.0, rounded up to the next step of occupancy.

/** A thread has at most 65,536 / threads resident; 8 is the granularity of allocation. */
export const BUDGETS: Readonly<Record<string, number>> = {
  'PrivateAdam<float>': 80,
  'PrivateAdam<double>': 80,
  Privatise: 56,
};
