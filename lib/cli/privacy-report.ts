// What the privacy commands say in words and tables: a statement of a plan, and the same plan by other samplers and accountants.

import { PhantomgradError, raise } from '../errors';
import type { Neighbours } from '../privacy/accounting';
import { accountantOf, eventOf, neighboursOf, type PlanFlags, rateOf, stepsOf } from './privacy-plan';

const WORDS: Readonly<Record<Neighbours, (unit: string) => string>> = {
  addRemove: (unit) => `adding or removing ${unit}`,
  replace: (unit) => `replacing ${unit} by another one`,
  zeroOut: (unit) => `leaving out the contribution of ${unit}, whose presence is known`,
};

/** The promise of a plan in one paragraph. Numbers are rounded up, so that no sentence claims more than was computed. */
export function planStatement(
  flags: PlanFlags & { readonly unit: string },
  noiseMultiplier: number,
  epsilon: number,
): string {
  const { unit, delta, accountant, sampler = 'poisson', groupSize } = flags;
  const whom = groupSize === undefined ? unit : `${groupSize} records together, each being ${unit}`;
  return (
    `Trained by this plan, a model is (epsilon = ${roundedUp(epsilon)}, delta = ${delta})-differentially private for ` +
    `${WORDS[neighboursOf(flags)](whom)} (accountant ${accountant}): ${stepsOf(flags)} steps of ${sampler} sampling at rate ` +
    `${rateOf(flags).toPrecision(4)}, contributions of bounded norm C, noise of standard deviation ${noiseMultiplier.toPrecision(5)} C. Not ` +
    'covered: the number of records and everything else that the plan takes as public; the weights that training began with, if they were ' +
    'made from these data; the choice of hyper-parameters, if it looked at these data; metrics and losses that were computed from these data ' +
    'and shown.'
  );
}

function roundedUp(value: number): string {
  if (value === 0) return '0';
  const unit = 10 ** (Math.floor(Math.log10(value)) - 3);
  return String(Number((Math.ceil(value / unit - 1e-9) * unit).toPrecision(4)));
}

export interface ComparedRow {
  readonly sampler: string;
  readonly neighbours: Neighbours;
  readonly accountant: string;
  /** Null where that combination has no sound accountant, or lacks an option. */
  readonly epsilon: number | null;
  /** The code of the refusal. */
  readonly refused?: string;
}

const ROWS: readonly (readonly [NonNullable<PlanFlags['sampler']>, Neighbours, PlanFlags['accountant']])[] = [
  ['poisson', 'addRemove', 'pld'],
  ['poisson', 'addRemove', 'prv'],
  ['poisson', 'addRemove', 'exact'],
  ['poisson', 'addRemove', 'rdp'],
  ['poisson', 'replace', 'pld'],
  ['truncatedPoisson', 'addRemove', 'pld'],
  ['fixedSize', 'replace', 'pld'],
  ['ballsAndBins', 'addRemove', 'pld'],
  ['shuffle', 'zeroOut', 'pld'],
  ['external', 'addRemove', 'pld'],
];

/** ε of the same rate, noise and passes by samplers, neighbours and accountants; truncation only with a maximum. */
export function comparison(flags: PlanFlags, noiseMultiplier: number): ComparedRow[] {
  const { maxBatchSize, ...plan } = flags;
  if (plan.groupSize !== undefined) {
    raise('ERR_INVALID_ARGUMENT', 'privacy compare: compares single records; leave --group-size out.');
  }
  const rows = ROWS.filter(([sampler]) => sampler !== 'truncatedPoisson' || maxBatchSize !== undefined);
  return rows.map(([sampler, neighbours, accountant]) => {
    const own = {
      ...plan,
      sampler,
      neighbours,
      accountant,
      ...(sampler === 'truncatedPoisson' ? { maxBatchSize } : {}),
    } as PlanFlags;
    const row = { sampler, neighbours, accountant };
    try {
      return { ...row, epsilon: accountantOf(own).epsilon([eventOf(own, noiseMultiplier, stepsOf(own))], own.delta) };
    } catch (error) {
      if (!(error instanceof PhantomgradError)) throw error;
      return { ...row, epsilon: null, refused: error.code };
    }
  });
}
