// What clipping did to the samples of a logical step. Computed from private data without noise: for debugging only.

/** Smallest, middle and largest value; NaN of nothing. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** What clipping did to one group of parameters, over the finite samples. */
export interface GroupStats {
  /** Share of the samples with a factor below 1. */
  readonly clippedShare: number;
  readonly clipFactor: Spread;
  readonly gradientNorm: Spread;
}

/** Statistics of the last complete logical step. They are not private: do not publish them. */
export interface TrainingStats extends GroupStats {
  readonly private: false;
  /** Samples drawn. */
  readonly samples: number;
  /** Samples whose loss or gradient was not finite; they contributed zero. */
  readonly notFinite: number;
  /** C of this step. (With `adaptive` it moves; it alone is public.) */
  readonly maxGradNorm: number;
  /** Share of the finite samples with a factor below 1, in any group. */
  readonly clippedShare: number;
  /** Over all finite samples and all groups. */
  readonly clipFactor: Spread;
  /** Of the whole gradient. */
  readonly gradientNorm: Spread;
  /** By name of the group; empty where all parameters are clipped together. */
  readonly groups: Readonly<Record<string, GroupStats>>;
}

/** What one physical batch adds. */
export interface ClippedBatch {
  /** `[B]` norms over all parameters. */
  readonly norm: Float64Array;
  /** `[G][B]` norms over each group. */
  readonly groupNorms: readonly Float64Array[];
  /** `[G][B]` */
  readonly factors: readonly Float64Array[];
  readonly finite: (sample: number) => boolean;
}

interface Collected {
  readonly factors: number[];
  readonly norms: number[];
}

/** Collects factors and norms over the physical batches of one logical step. */
export class StatsCollector {
  #norms: number[] = [];
  #clipped = 0;
  #notFinite = 0;
  #groups: Collected[] = [];

  add({ norm, groupNorms, factors, finite }: ClippedBatch): void {
    if (this.#groups.length === 0) this.#groups = factors.map(() => ({ factors: [], norms: [] }));
    norm.forEach((whole, b) => {
      if (!finite(b)) {
        this.#notFinite += 1;
        return;
      }
      this.#norms.push(whole);
      if (factors.some((row) => (row[b] as number) < 1)) this.#clipped += 1;
      this.#groups.forEach((group, g) => {
        group.factors.push(factors[g]?.[b] as number);
        group.norms.push(groupNorms[g]?.[b] as number);
      });
    });
  }

  /** @param names  Of the groups; empty where all parameters are clipped together. */
  finish(maxGradNorm: number, names: readonly string[]): TrainingStats {
    const stats: TrainingStats = {
      private: false,
      samples: this.#norms.length + this.#notFinite,
      notFinite: this.#notFinite,
      maxGradNorm,
      clippedShare: this.#clipped / Math.max(1, this.#norms.length),
      clipFactor: spread(this.#groups.flatMap(({ factors }) => factors)),
      gradientNorm: spread(this.#norms),
      groups: Object.fromEntries(names.map((name, g) => [name, groupStats(this.#groups[g])])),
    };
    this.forget();
    return stats;
  }

  forget(): void {
    this.#norms = [];
    this.#clipped = 0;
    this.#notFinite = 0;
    this.#groups = [];
  }
}

// A step without samples has collected nothing.
function groupStats({ factors, norms }: Collected = { factors: [], norms: [] }): GroupStats {
  return {
    clippedShare: factors.filter((factor) => factor < 1).length / Math.max(1, factors.length),
    clipFactor: spread(factors),
    gradientNorm: spread(norms),
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return { min: NaN, median: NaN, max: NaN };
  return {
    min: sorted[0] as number,
    median: ((sorted[(sorted.length - 1) >> 1] as number) + (sorted[sorted.length >> 1] as number)) / 2,
    max: sorted[sorted.length - 1] as number,
  };
}
