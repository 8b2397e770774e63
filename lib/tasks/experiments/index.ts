// The paper's experiments as jobs: each table, from data to a report.

export { activationVariances, type VarianceRow, varianceText } from './activation-variance';
export { EXPERIMENT_NAMES } from './definitions';
export { IDEA_ROWS, TABLE_ROWS } from './rows';
export { type ExperimentOutcome, runExperiment } from './run';
export type { ExperimentControl } from './cells';
export type { Cell, Results } from './results';
export { REPORT_FILE, RESULTS_FILE } from './store';
export { type Statistic, type SummaryRow } from './summary';
