// Optimizers and learning-rate schedules.

export { Adam, adam, type AdamOptions, adamw } from './adam';
export { type AverageOptions, type Moments, Optimizer, type OptimizerState } from './optimizer';
export type { ParamGroup } from './param-group';
export { type ArenaProfile, type PrivateArena, type PrivateRelease, publicGrid } from './release';
export { constant, cosine, linearWarmupDecay, type Schedule } from './schedules';
export { Sgd, sgd, type SgdOptions } from './sgd';
