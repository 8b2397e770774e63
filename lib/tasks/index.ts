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
export * as metrics from './metrics';
