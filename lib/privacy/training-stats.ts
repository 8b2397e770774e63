// What clipping did to the samples of a logical step. Computed from private data without noise: for debugging only.

/** Statistics of the last complete logical step. They are not private: do not publish them. */
export interface TrainingStats {
  readonly private: false;
  /** Samples drawn. */
  readonly samples: number;
  /** Samples whose loss or gradient was not finite; they contributed zero. */
  readonly notFinite: number;
  /** Share of the finite samples with a factor below 1. */
  readonly clippedShare: number;
  readonly clipFactor: { readonly min: number; readonly median: number; readonly max: number };
  readonly gradientNorm: { readonly min: number; readonly median: number; readonly max: number };
}

/** Collects factors and norms over the physical batches of one logical step. */
export class StatsCollector {
  #factors: number[] = [];
  #norms: number[] = [];
  #notFinite = 0;

  add(norms: Float64Array, factors: Float64Array, finite: (sample: number) => boolean): void {
    norms.forEach((norm, b) => {
      if (!finite(b)) {
        this.#notFinite += 1;
        return;
      }
      this.#norms.push(norm);
      this.#factors.push(factors[b] as number);
    });
  }

  finish(): TrainingStats {
    const stats: TrainingStats = {
      private: false,
      samples: this.#factors.length + this.#notFinite,
      notFinite: this.#notFinite,
      clippedShare: this.#factors.filter((factor) => factor < 1).length / Math.max(1, this.#factors.length),
      clipFactor: spread(this.#factors),
      gradientNorm: spread(this.#norms),
    };
    this.#factors = [];
    this.#norms = [];
    this.#notFinite = 0;
    return stats;
  }
}

function spread(values: readonly number[]): { min: number; median: number; max: number } {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return { min: NaN, median: NaN, max: NaN };
  return {
    min: sorted[0] as number,
    median: ((sorted[(sorted.length - 1) >> 1] as number) + (sorted[sorted.length >> 1] as number)) / 2,
    max: sorted[sorted.length - 1] as number,
  };
}
