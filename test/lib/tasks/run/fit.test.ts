// What a run ends with: the last weights, or the average of those that it passed.

import { PlainEngine, poisson, type PrivacyEngine } from '../../../../lib/privacy';
import { fit, type FitOptions } from '../../../../lib/tasks/run/fit';
import { distance, engineFor, histories, smallModel, weights } from '../../privacy/fixture';

const [STEPS, SHARE] = [4, 0.625];
const DECAY = 1 - 1 / (STEPS * SHARE);

/** Weights after each step of a run of four steps, and those that it ends with. */
async function run(
  engineOf: (model: ReturnType<typeof smallModel>) => PrivacyEngine | PlainEngine,
  options: Partial<FitOptions>,
): Promise<{ passed: number[][]; end: number[] }> {
  const model = smallModel();
  const passed: number[][] = [];
  await fit(model, engineOf(model), histories(), {
    ...{ role: 'private', steps: STEPS, epochs: 1, learningRate: 0.05, weightDecay: 0 },
    onStep: () => passed.push(weights(model)),
    ...options,
  });
  return { passed, end: weights(model) };
}

const engines = [
  ['with privacy', (model) => engineFor(model, { noiseMultiplier: 1 })],
  ['without', (model) => new PlainEngine(model, { records: 40, epochs: 1, sampler: poisson({ batchSize: 10 }) })],
] as const satisfies readonly (readonly [string, Parameters<typeof run>[0]])[];

describe.each(engines)('%s', (_, engineOf) => {
  test('a run ends with the average of the weights that it passed', async () => {
    const { passed, end } = await run(engineOf, { average: SHARE });
    expect(passed.length).toBe(STEPS);
    const wanted = passed.reduce((mean, now) => mean.map((m, k) => DECAY * m + (1 - DECAY) * now[k]!));
    const moved = distance(wanted, passed.at(-1)!);
    expect(moved).toBeGreaterThan(1e-3);
    expect(distance(end, wanted)).toBeLessThan(1e-5 * moved);
  });

  test.each([undefined, 0, 1 / STEPS])('with the share %s it ends with the last ones', async (average) => {
    const { passed, end } = await run(engineOf, average === undefined ? {} : { average });
    expect(end).toEqual(passed.at(-1));
  });

  test('so does one that is stopped, with the average so far', async () => {
    const stop = new AbortController();
    const { passed, end } = await run(engineOf, {
      ...{ average: SHARE, signal: stop.signal },
      evaluation: { every: 0.5, run: () => stop.abort() },
    });
    expect(passed.length).toBe(2);
    const [first, second] = passed as [number[], number[]];
    const wanted = first.map((w, k) => DECAY * w + (1 - DECAY) * second[k]!);
    expect(distance(end, wanted)).toBeLessThan(1e-5 * distance(first, second));
  });
});
