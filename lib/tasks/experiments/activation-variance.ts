// The paper's Table 1: variance behind ReLU and GELU by formula, beside more and more samples.

import { fromTypedArray, Generator, randn, tidy, torch } from '../../tensor';
import { page, paragraph, table } from '../../report/html';
import { textTable } from '../../report/table';
import { type PaperVariance, TABLE_1 } from './paper-numbers';

export interface VarianceRow extends PaperVariance {
  /** Of our operators, the ones that Re-Attention uses. */
  readonly ours: number;
  /** Unbiased, from 10, 10², … 10⁶ samples. */
  readonly samples: readonly number[];
}

export const SAMPLE_COUNTS = [10, 100, 1_000, 10_000, 100_000, 1_000_000] as const;

/**
 * Inputs are N(0, σ²) with σ = 0.01, 0.1, 1, which the paper's analytic column identifies. For GELU it uses the formula of ReLU; ours
 * has a rule of its own. Samples come from a fixed seed.
 *
 * @see Eq. 31 and Lemma C.2
 */
export function activationVariances(): VarianceRow[] {
  const generator = new Generator(1);
  return TABLE_1.map((row) => ({
    ...row,
    ours: analytic(row),
    samples: SAMPLE_COUNTS.map((count) => sampled(row, count, generator)),
  }));
}

function analytic({ deviation, activation }: PaperVariance): number {
  return tidy(() => {
    const mean = fromTypedArray(Float64Array.of(0), [1, 1]);
    const variance = fromTypedArray(Float64Array.of(deviation ** 2), [1]);
    return torch.ops.phantomgrad.activation_variance(mean, variance, activation).item();
  });
}

function sampled({ deviation, activation }: PaperVariance, count: number, generator: Generator): number {
  return tidy(() => {
    const input = randn([count], { generator, dtype: 'float64' }).mul(deviation);
    const output = activation === 'relu' ? input.relu() : input.gelu();
    const centred = output.sub(output.mean());
    return centred.mul(centred).sum().item() / (count - 1);
  });
}

const HEADER = ['input, activation', '', ...SAMPLE_COUNTS.map((count) => `${count} samples`), 'analytic'] as const;

// The misprint is the paper's; its GELU rows share the cell of ReLU.
const PAPER_REMARK =
  "«2.50e-0» is a misprint of the paper. Its analytic column is the formula of ReLU for GELU, too; this library's rule for GELU is its own.";

const digits = (value: number): string => (value < 1e-3 ? value.toExponential(4) : value.toPrecision(5));

function lines(rows: readonly VarianceRow[]): string[][] {
  return rows.flatMap(({ deviation, activation, samples, ours, sampled: printed, analytic: formula }) => [
    [`N(0, ${deviation}^2), ${activation}`, 'here', ...[...samples, ours].map(digits)],
    ['', 'paper', ...printed, formula],
  ]);
}

/** For a terminal. */
export function varianceText(rows: readonly VarianceRow[]): string {
  return `Table 1: variance behind an activation\n\n${textTable(HEADER, lines(rows))}\n\n${PAPER_REMARK}`;
}

/** report.html. */
export function varianceReport(rows: readonly VarianceRow[]): string {
  return page('phantomgrad: Table 1: variance behind an activation', [
    table(HEADER, lines(rows)),
    paragraph(PAPER_REMARK),
  ]);
}
