// Did the sampler draw as the ledger says? Batch sizes and how often each record came, against Poisson sampling.

import { digits, type Finding } from './finding';

/** Standard errors: a false alarm once in 1.7 million. */
const ERRORS = 5;

/** Counts what is drawn. */
export class Inclusion {
  readonly #times: Int32Array;
  readonly #sizes: number[] = [];
  #repeated = 0;

  constructor(private readonly records: number) {
    this.#times = new Int32Array(records);
  }

  /** The records of one logical batch. */
  note(ids: Int32Array): void {
    this.#sizes.push(ids.length);
    this.#repeated += ids.length - new Set(ids).size;
    for (const id of ids) (this.#times[id] as number) += 1;
  }

  /**
   * - `batchSizes`: sizes vary as Bin(N, q), and no record comes twice in a batch.
   * - `inclusion`: how often records came varies as Bin(T, q).
   *
   * Both are two-sided: shuffled passes vary too little, a preference for some records varies too much.
   */
  findings(rate: number): Finding[] {
    const steps = this.#sizes.length;
    const sizes = dispersion(this.#sizes, this.records, rate);
    const times = dispersion([...this.#times], steps, rate);
    const sized = Math.abs(sizes) <= ERRORS && this.#repeated === 0;
    const often = Math.abs(times) <= ERRORS;
    const cause = (score: number): string =>
      score < 0
        ? 'they vary less than under Poisson sampling: records are dealt out (shuffled or of fixed size), not drawn independently'
        : 'they vary more than under Poisson sampling: some records are preferred, or the rate is another one';
    return [
      {
        claim: 'batchSizes',
        holds: sized,
        detail: sized
          ? `sizes of ${steps} batches fit Bin(${this.records}, ${digits(rate)}): ${digits(sizes)} standard errors`
          : this.#repeated > 0
            ? `${this.#repeated} times a record came twice in one batch`
            : `sizes of ${steps} batches are ${digits(sizes)} standard errors off: ${cause(sizes)}`,
      },
      {
        claim: 'inclusion',
        holds: often,
        detail: often
          ? `how often each of ${this.records} records came fits Bin(${steps}, ${digits(rate)}): ${digits(times)} standard errors`
          : `how often records came is ${digits(times)} standard errors off: ${cause(times)}`,
      },
    ];
  }
}

/**
 * Σ (x - np)² / (np(1 - p)) for x that should be Bin(n, p), in standard errors from its mean. One square has mean 1 and variance
 * κ = 2 + (1 - 6p(1 - p)) / (np(1 - p)), the binomial's fourth moment; so 2/κ times the sum of m squares is close to a chi-square of
 * 2m/κ degrees of freedom, whose cube root is close to a normal (Wilson & Hilferty 1931), also for few steps.
 */
function dispersion(values: readonly number[], n: number, p: number): number {
  if (p === 1) return values.every((value) => value === n) ? 0 : Infinity;
  const variance = n * p * (1 - p);
  const statistic = values.reduce((sum, value) => sum + (value - n * p) ** 2 / variance, 0);
  const freedom = (2 * values.length) / (2 + (1 - 6 * p * (1 - p)) / variance);
  const width = 2 / (9 * freedom);
  return (Math.cbrt(statistic / values.length) - (1 - width)) / Math.sqrt(width);
}
