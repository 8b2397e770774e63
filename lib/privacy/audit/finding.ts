// One claim and what was measured of it.

/** What an audit looks into. Names never change meaning. */
export type Claim =
  | 'contributionsBounded'
  | 'contributionsExact'
  | 'everyUseCounted'
  | 'noiseScale'
  | 'noiseEverywhere'
  | 'noiseCentred'
  | 'noiseFresh'
  | 'publicGrid'
  | 'batchSizes'
  | 'inclusion'
  | 'parametersMove'
  | 'everyStepCharged'
  | 'histogramCharged'
  | 'histogramNoise'
  | 'statement'
  | 'epsilon';

export interface Finding {
  readonly claim: Claim;
  readonly holds: boolean;
  /** One sentence with the numbers; where the claim fails, it names the cause. */
  readonly detail: string;
}

/** `0.0123`, `1.23e-7`. */
export function digits(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}
