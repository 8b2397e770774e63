// Samplers and where they take their randomness from.

export { ballsAndBins } from './balls-and-bins';
export { external } from './external';
export { fixedSize } from './fixed-size';
export { poisson } from './poisson';
export { shuffle } from './shuffle';
export { truncatedPoisson } from './truncated-poisson';
export { insecureRandom, secureRandom } from './csprng';
export type { RandomSource } from './csprng';
export type { Draws, DrawingSampler, MemorylessSampler, Sampler } from './sampler';
