// From σ, B and frequencies to a variance for every weight and every embedding row: the three models of the error.

import * as check from '../check';
import { raise } from '../errors';
import type { EffectiveError, NoiseStep } from './effective-error';

/** What noise is taken to have done to the parameters. */
export interface NoiseVariance {
  /** Of every entry of every weight and bias, σ_W². */
  readonly weight: number;
  /** `rows[i]`: of every entry of embedding row i, σ_Eᵢ². Row 0 is padding, which nothing moves: 0. */
  readonly rows: Float64Array;
}

/** Settings of the error model, see {@link ReAttentionOptions}. */
export interface ErrorModel {
  readonly error: 'paper' | 'scaled' | 'tracked';
  readonly errorScale: number;
  readonly errorExponent: number;
  readonly curvature: number;
}

/**
 * Definition 4.1 and Claim 4.2: σ_W = σ/B and σ_Eᵢ = σ/(B pᵢ), with B pᵢ of at least 1; `scaled`: κσ/B and κσ/(B pᵢ^α).
 * `tracked` starts from zero, see {@link addedNoise}. Without frequencies every row counts as a weight does.
 *
 * @throws ERR_INVALID_ARGUMENT when the frequencies are of another number of rows.
 */
export function effectiveVariance(noise: EffectiveError, rowCount: number, model: ErrorModel): NoiseVariance {
  check.object('effectiveVariance', { noise });
  check.integer('effectiveVariance', { rowCount }, 1);
  check.object('effectiveVariance', { model });
  const { noiseMultiplier, expectedBatchSize, frequencies } = noise;
  const { error, errorScale, errorExponent } = model;
  check.object('effectiveVariance', { frequencies });
  const probability = checkedProbability(frequencies.probability, rowCount);
  if (error === 'tracked') return { weight: 0, rows: new Float64Array(rowCount) };
  // Below one record in a batch the formula says that a row is noisier than one step makes it.
  const variance = (share: number): number =>
    ((errorScale * noiseMultiplier) / Math.max(1, expectedBatchSize * share ** errorExponent)) ** 2;
  const rows = probability?.map(variance) ?? new Float64Array(rowCount).fill(variance(1));
  rows[0] = 0;
  return { weight: variance(1), rows };
}

/**
 * `tracked`: the random walk that the noise makes, in the units of the parameters. Every row gets noise at every step; signal,
 * which reaches row i in a share pᵢ of the steps, pulls it back: variance ← (1 − 2 η h pᵢ) variance + (η_eff σC/B)².
 */
export function addedNoise(
  variance: NoiseVariance,
  probability: Float64Array | null,
  step: NoiseStep,
  model: ErrorModel,
): NoiseVariance {
  check.object('addedNoise', { variance });
  check.object('addedNoise', { step });
  check.object('addedNoise', { model });
  const { weight, rows } = variance;
  const { learningRate, noiseStd, secondMoment } = step;
  const { errorScale, curvature } = model;
  check.row('addedNoise', { rows });
  const rate = secondMoment === null ? learningRate : learningRate / Math.sqrt(secondMoment);
  const length = errorScale * rate * noiseStd;
  const added = Number.isFinite(length) ? length * length : 0;
  const next = (before: number, share: number): number =>
    Math.max(0, 1 - 2 * learningRate * curvature * share) * before + added;
  const nextRows = rows.map((before, i) => (i === 0 ? 0 : next(before, probability?.[i] ?? 1)));
  return { weight: next(weight, 1), rows: nextRows };
}

function checkedProbability(probability: Float64Array | null, rowCount: number): Float64Array | null {
  if (probability === null || probability.length === rowCount) return probability;
  return raise(
    'ERR_INVALID_ARGUMENT',
    `setEffectiveError: the model has ${rowCount} embedding rows (items and padding 0), the frequencies are of ` +
      `${probability.length}. Give one for every item of the model's vocabulary.`,
  );
}
