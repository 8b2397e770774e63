// Whole jobs, and the metrics that they report.

export { auditRecommender, type RunAuditOptions } from './audit';
export {
  type Accuracy,
  evaluateRanking as evaluate,
  type RankingOptions,
  type RankingResult,
  type Ties,
} from './ranking';
export {
  type AccuracyEvent,
  type Recommendation,
  Recommender,
  type RecommenderOptions,
  type RecommenderReport,
  type Row as RecommenderRow,
  type RunConfig,
  type RunControl,
  type RunEvent,
  type StepEvent,
  trainRecommender,
} from './recommender';
export {
  type ClassifierOptions,
  type CommonOptions as FineTuneCommonOptions,
  evaluateFineTuned,
  fineTune,
  type FineTuneControl,
  type FineTuneOptions,
  type FineTuneReport,
  type FineTuneRow,
  type FineTuneTask,
  type ImageOptions,
  type LanguageModelOptions,
  type MemoryCosts,
  type MemoryPlan,
  type MemoryPlanOptions,
  type Metrics as FineTuneMetrics,
  planMemory,
  type TableToTextOptions,
  write,
  type WriteOptions,
  type Written,
} from './fine-tune';
export { writeReport } from './run/report';
export * as metrics from './metrics';
