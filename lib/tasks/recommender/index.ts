// The recommender as a whole job: train, load, recommend, evaluate.

export type { Row } from './compare';
export type { AccuracyEvent, OnEvent, Role, RunEvent, StepEvent } from '../run/events';
export { canResume } from '../run/keeping';
export { metricName, rowName } from '../run/names';
export { defaultBatchSize, defaultLearningRate, DEFAULTS, type RecommenderOptions } from './options';
export { type Recommendation, Recommender } from './recommender';
export type { RunConfig } from './run-config';
export { type RecommenderReport, type RunControl, trainRecommender } from './train';
