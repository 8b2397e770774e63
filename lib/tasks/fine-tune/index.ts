// Fine-tuning of Hugging Face models as whole jobs: train, evaluate, write text, plan.

export { canResume } from '../run/keeping';
export type { ClassifierOptions } from './classifier';
export { evaluateFineTuned } from './evaluate';
export type { Metrics } from './exam';
export { isFineTuned } from './folder';
export type { ImageOptions } from './images';
export { TASKS } from './job';
export type { LanguageModelOptions } from './lm';
export { CLIPS, type CommonOptions, DEFAULTS, type FineTuneTask } from './options';
export { type MemoryCosts, type MemoryPlan, type MemoryPlanOptions, planMemory } from './plan';
export { PRESETS } from './presets';
export { metricName, rowName } from '../run/names';
export { shown } from '../run/report';
export type { TableToTextOptions } from './table2text';
export { fineTune, type FineTuneControl, type FineTuneOptions, type FineTuneReport, type FineTuneRow } from './train';
export { write, type WriteOptions, type Written } from './write';
