// Samplers and where they take their randomness from.

export { external } from './external';
export { poisson } from './poisson';
export { insecureRandom, secureRandom } from './csprng';
export type { RandomSource } from './csprng';
export type { DrawingSampler, Sampler } from './sampler';
