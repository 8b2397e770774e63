// The paper's experiments as jobs: each table, from data to a report.

export { activationVariances, type VarianceRow, varianceText } from './activation-variance';
export { EXPERIMENT_NAMES, NOT_COVERED } from './definitions';
export { type ExperimentOutcome, runExperiment } from './run';
export type { ExperimentControl } from './ranking';
export { type Cell, REPORT_FILE, type Results, RESULTS_FILE } from './results';
export { type Statistic, type SummaryRow } from './summary';
