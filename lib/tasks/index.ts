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
  type Recommendation,
  Recommender,
  type RecommenderOptions,
  type RecommenderReport,
  type RunControl,
  type RunEvent,
  trainRecommender,
} from './recommender';
export {
  type ClassifierOptions,
  evaluateFineTuned,
  fineTune,
  type FineTuneControl,
  type FineTuneOptions,
  type FineTuneReport,
  type FineTuneRow,
  type FineTuneTask,
  type ImageOptions,
  type LanguageModelOptions,
  type MemoryPlan,
  type MemoryPlanOptions,
  planMemory,
  type TableToTextOptions,
  write,
  type WriteOptions,
  type Written,
} from './fine-tune';
export { writeReport } from './run/report';
export * as metrics from './metrics';
