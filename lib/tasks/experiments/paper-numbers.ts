// The numbers that the paper prints (Ding et al. 2024, Tables 1 to 3), to stand beside ours.

/** Mean and spread of five runs, in per cent. */
export interface PaperCell {
  readonly ndcg: readonly [mean: number, spread: number];
  readonly hit: readonly [mean: number, spread: number];
}

/** By row, then for ε = 5, 8, 10. */
export type PaperTable = Readonly<Record<string, readonly PaperCell[]>>;

const cells = (...rows: readonly (readonly [number, number, number, number])[]): PaperCell[] =>
  rows.map(([ndcg, ndcgSpread, hit, hitSpread]) => ({ ndcg: [ndcg, ndcgSpread], hit: [hit, hitSpread] }));

/** Table 2, MovieLens-1M. */
export const TABLE_2: PaperTable = {
  gru: cells([2.26, 0.04, 4.58, 0.09], [2.4, 0.03, 4.75, 0.2], [2.81, 0.03, 5.53, 0.05]),
  lstm: cells([2.65, 0.07, 5.08, 0.08], [2.76, 0.03, 5.41, 0.06], [2.95, 0.03, 5.55, 0.06]),
  untied: cells([2.33, 0.05, 4.47, 0.07], [2.56, 0.03, 5.11, 0.05], [2.74, 0.04, 5.39, 0.08]),
  vanilla: cells([4.57, 0.26, 8.69, 0.53], [7.05, 0.23, 13.17, 0.37], [7.99, 0.21, 14.82, 0.38]),
  reAttention: cells([5.88, 0.24, 11.13, 0.43], [7.7, 0.26, 14.31, 0.37], [8.42, 0.22, 15.4, 0.32]),
};

/** Table 3, Amazon Games. */
export const TABLE_3: PaperTable = {
  gru: cells([1.13, 0.02, 2.46, 0.03], [1.33, 0.02, 2.22, 0.02], [1.47, 0.03, 2.48, 0.02]),
  lstm: cells([1.19, 0.01, 2.46, 0.04], [1.23, 0.01, 2.46, 0.04], [1.34, 0.01, 2.51, 0.02]),
  untied: cells([1.16, 0.01, 2.36, 0.01], [1.2, 0.02, 2.38, 0.01], [1.4, 0.01, 2.47, 0.02]),
  vanilla: cells([1.37, 0.04, 2.47, 0.1], [1.54, 0.03, 2.77, 0.07], [1.57, 0.03, 2.83, 0.08]),
  reAttention: cells([1.64, 0.01, 3.01, 0.01], [1.98, 0.05, 3.7, 0.15], [1.99, 0.04, 3.73, 0.11]),
};

/** A row of Table 1: variance of an activation of N(0, deviation²), from 10, 10², … 10⁶ samples and by formula, as printed. */
export interface PaperVariance {
  readonly deviation: number;
  readonly activation: 'relu' | 'gelu';
  readonly sampled: readonly string[];
  readonly analytic: string;
}

/** Table 1. The paper has one analytic cell for ReLU and GELU: it uses the formula of ReLU for both. */
export const TABLE_1: readonly PaperVariance[] = [
  row(0.01, 'relu', '4.08e-6 3.60e-5 3.93e-5 3.45e-5 3.40e-5 3.40e-5', '3.40e-5'),
  row(0.01, 'gelu', '2.48e-5 2.69e-5 2.72e-5 2.57e-5 2.50e-0 2.49e-5', '3.40e-5'),
  row(0.1, 'relu', '0.0030 0.0031 0.0037 0.0034 0.0035 0.0034', '0.0034'),
  row(0.1, 'gelu', '0.0030 0.0025 0.0027 0.0025 0.0026 0.0025', '0.0034'),
  row(1, 'relu', '0.5299 0.2361 0.3649 0.3451 0.3387 0.3418', '0.3408'),
  row(1, 'gelu', '0.5525 0.2306 0.3719 0.3506 0.3433 0.3467', '0.3408'),
];

function row(deviation: number, activation: 'relu' | 'gelu', sampled: string, analytic: string): PaperVariance {
  return { deviation, activation, sampled: sampled.split(' '), analytic };
}
