// Laws of scale-then-privatise: norms and sums are those of scaled gradients, the bound stays C, and each part gets noise σC / (B s).

import { sgd } from '../../../lib/optim';
import {
  abadi,
  adaptive,
  automatic,
  type Clip,
  clippedSum,
  external,
  global,
  type GradientScales,
  groupScales,
  normalize,
  perLayer,
  perSampleNorms,
  PrivacyEngine,
  privacyStatement,
  psac,
} from '../../../lib/privacy';
import { noGrad, type Tensor } from '../../../lib/tensor';
import { distance, engineFor, histories, optimizers, smallModel, weights } from './fixture';

const scales = groupScales([
  { prefixes: ['positions', 'blocks.0.attention'], scale: 0.2 },
  { prefixes: ['blocks.0.ffnIn'], scale: 3 },
]);
const names = [...smallModel().namedParameters()].map(([name]) => name);
const factorOf = new Map(scales.assign(names).map((scale, k) => [names[k]!, scale]));
const batch = (ids: readonly number[]) => histories().pack(Int32Array.from(ids), { rowBudget: 1000, maxLength: 6 })[0]!;
const C = 0.7;
const CLIPS: Readonly<Record<string, Clip>> = {
  abadi: abadi({ maxGradNorm: C }),
  automatic: automatic({ maxGradNorm: C }),
  normalize: normalize({ maxGradNorm: C }),
  psac: psac({ maxGradNorm: C }),
  global: global({ maxGradNorm: C, cutoff: 5 }),
  adaptive: adaptive({ maxGradNorm: C }),
  'abadi, layer by layer': abadi({ maxGradNorm: C, groups: perLayer() }),
};
const flat = (sums: ReadonlyMap<string, Tensor>): number[] =>
  [...sums.values()].flatMap((sum) => [...(sum.toTypedArray() as Float64Array)]);

test.each(['factors', 'materialize'] as const)(
  'per-sample norms are those of the scaled gradients (%s)',
  (gradients) => {
    const model = smallModel();
    const ids = [3, 9, 14, 20, 31];
    const loss = (): Tensor => model.loss(batch(ids));
    const plain = perSampleNorms(model, loss, { gradients: 'materialize' });
    const scaled = perSampleNorms(model, loss, { gradients, scales });
    ids.forEach((_, b) => {
      let square = 0;
      for (const [name, norms] of plain.parameters) {
        const expected = factorOf.get(name)! * norms[b]!;
        expect(Math.abs(scaled.parameters.get(name)![b]! - expected)).toBeLessThan(1e-5 * expected + 1e-12);
        square += expected ** 2;
      }
      expect(scaled.norm[b]! / Math.sqrt(square)).toBeCloseTo(1, 5);
      expect(scaled.bound[b]!).toBeGreaterThanOrEqual(Math.sqrt(square) * (1 - 1e-6));
      expect(scaled.bound[b]!).toBeLessThan(Math.sqrt(square) * 1.02);
    });
  },
);

describe.each(Object.entries(CLIPS))('%s', (_name, clip) => {
  test('one sample adds at most C to the scaled sum, and the sum is that of its samples', () => {
    const model = smallModel();
    const ids = [3, 12, 21, 30];
    const total = flat(clippedSum(model, () => model.loss(batch(ids)), clip, { scales }).sums);
    const alone = ids.map((id) => flat(clippedSum(model, () => model.loss(batch([id])), clip, { scales }).sums));
    for (const one of alone) expect(Math.hypot(...one)).toBeLessThanOrEqual(C);
    total.forEach((value, i) => {
      expect(Math.abs(value - alone.reduce((sum, one) => sum + one[i]!, 0))).toBeLessThan(1e-5);
    });
  });

  test('factors and materialised gradients give one sum, up to what the certificates widen the norms by', () => {
    const model = smallModel();
    const run = (gradients: 'factors' | 'materialize'): number[] =>
      flat(clippedSum(model, () => model.loss(batch([1, 7, 30])), clip, { scales, gradients }).sums);
    expect(distance(run('factors'), run('materialize'))).toBeLessThan(0.004 * C);
  });
});

/** What one step of SGD at rate 1 moved, by parameter. */
function moved(options: Parameters<typeof engineFor>[1], ids: readonly number[]): Map<string, number[]> {
  const model = smallModel();
  const read = (): [string, number[]][] =>
    [...model.namedParameters()].map(([name, p]) => [name, [...(p.detach().toTypedArray() as Float32Array)]]);
  const before = new Map(read());
  const engine = engineFor(model, { sampler: external({ batchSize: 4 }), steps: 1, ...options });
  const optimizer = engine.attach(sgd(model.parameters(), { lr: 1 }));
  optimizer.step({ loss: model.loss(batch(ids)) });
  const after = new Map(read());
  engine.close();
  return new Map([...after].map(([name, values]) => [name, values.map((w, i) => before.get(name)![i]! - w)]));
}

test('the update divides by the scale: without noise and clipping, scales change nothing but rounding', () => {
  const options = { noiseMultiplier: 0, clip: abadi({ maxGradNorm: Infinity }) };
  const plain = moved(options, [1, 2, 3]);
  for (const [name, values] of moved({ ...options, scales }, [1, 2, 3])) {
    expect(distance(values, plain.get(name)!)).toBeLessThan(1e-6 * (1 + Math.hypot(...plain.get(name)!)));
  }
});

test('the noise in a parameter of scale s has standard deviation σC / (B s)', () => {
  const [sigma, B] = [3, 4];
  const quiet = moved({ noiseMultiplier: 0, clip: normalize({ maxGradNorm: C }), scales }, [1, 2, 3]);
  const noisy = moved({ noiseMultiplier: sigma, clip: normalize({ maxGradNorm: C }), scales }, [1, 2, 3]);
  const found = new Map<number, number[]>();
  for (const [name, values] of noisy) {
    const scale = factorOf.get(name)!;
    found.set(scale, [...(found.get(scale) ?? []), ...values.map((value, i) => value - quiet.get(name)![i]!)]);
  }
  expect([...found.keys()].sort()).toEqual([0.2, 1, 3]);
  for (const [scale, noise] of found) {
    const std = Math.sqrt(noise.reduce((sum, x) => sum + x * x, 0) / noise.length);
    // Five standard errors of a standard deviation.
    expect(Math.abs(std / ((sigma * C) / (B * scale)) - 1)).toBeLessThan(5 / Math.sqrt(2 * noise.length));
  }
});

test('scales change neither noise multiplier nor event, and the ledger is charged the same', () => {
  const plans = [{}, { scales }].map((own) => {
    const { clip, sampler, records, steps } = engineFor(smallModel()).plan;
    return new PrivacyEngine(smallModel(), { clip, sampler, records, steps, target: { epsilon: 3 }, ...own }).plan;
  });
  expect(plans[1]!.noiseMultiplier).toBe(plans[0]!.noiseMultiplier);
  expect(plans[1]!.event).toEqual(plans[0]!.event);
});

function trained(own: { scales?: GradientScales }, optimizer: keyof typeof optimizers): number[] {
  const model = smallModel();
  const engine = engineFor(model, own);
  const attached = engine.attach(optimizers[optimizer](model));
  for (const one of engine.batches(histories())) attached.step({ loss: model.loss(one) });
  engine.close();
  return noGrad(() => weights(model));
}

test.each(['adam', 'sgd'] as const)('a scale of 1 is no scale, bit for bit (%s)', (optimizer) => {
  const ones = groupScales([{ prefixes: ['positions', 'blocks'], scale: 1 }]);
  expect(trained({ scales: ones }, optimizer)).toEqual(trained({}, optimizer));
  expect(trained({ scales }, optimizer)).not.toEqual(trained({}, optimizer));
});

test('a scale for all parameters is another unit: powers of two leave normalised steps as they are, up to the noise', () => {
  const all = groupScales([{ prefixes: ['items', 'positions', 'blocks'], scale: 2 ** -3 }]);
  const options = { noiseMultiplier: 0, clip: normalize({ maxGradNorm: C, slack: 0 }) };
  const plain = moved(options, [5]);
  // Normalised to C in the scaled space, and divided by the scale again.
  for (const [name, values] of moved({ ...options, scales: all }, [5])) {
    const eightfold = plain.get(name)!.map((value) => 8 * value);
    expect(distance(values, eightfold)).toBeLessThan(1e-5 * (1 + Math.hypot(...eightfold)));
  }
});

test('the statement names what was scaled', () => {
  const engine = engineFor(smallModel(), { scales, insecureSeed: undefined as never });
  const { clipping, text } = privacyStatement(engine, { unit: 'one user' });
  expect(clipping.scales).toEqual(scales.groups);
  expect(text).toContain('after scaling those of positions, blocks.0.attention by 0.2, of blocks.0.ffnIn by 3');
});

describe('what is refused', () => {
  const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
  const misfit = expect.objectContaining({ code: 'ERR_PARAMETER_GROUPS' }) as Error;

  test.each([0, -1, NaN, Infinity, 2 ** 21, 2 ** -21])('a scale of %p', (scale) => {
    expect(() => groupScales([{ prefixes: ['items'], scale }])).toThrow(invalid);
  });

  test("no group, no prefix, an unknown option, and scales of one's own making", () => {
    expect(() => groupScales([])).toThrow(invalid);
    expect(() => groupScales([{ prefixes: [], scale: 1 }])).toThrow(invalid);
    expect(() => groupScales([{ prefixes: ['items'], scale: 1, weight: 2 } as never])).toThrow(invalid);
    expect(() => engineFor(smallModel(), { scales: { ...scales } })).toThrow(invalid);
  });

  test('a prefix that matches nothing, and a parameter in two groups', () => {
    const attach = (own: GradientScales) => () => {
      const model = smallModel();
      engineFor(model, { scales: own }).attach(optimizers.adam(model));
    };
    expect(attach(groupScales([{ prefixes: ['item'], scale: 2 }]))).toThrow(misfit);
    expect(
      attach(
        groupScales([
          { prefixes: ['items'], scale: 2 },
          { prefixes: ['items.weight'], scale: 3 },
        ]),
      ),
    ).toThrow(misfit);
  });
});
