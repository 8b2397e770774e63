// Laws of steps with a moving threshold: what is charged, what noise is handed out, and what a broken step leaves behind.

import { adaptive, type AdaptiveOptions, external, poisson, type PrivacyEngine } from '../../../../lib/privacy';
import { GradientBook } from '../../../../lib/privacy/gradient-book';
import { type Tensor, tensor } from '../../../../lib/tensor';
import { engineFor, histories, optimizers, smallModel, weights } from '../fixture';

type Options = Parameters<typeof engineFor>[1];

// Every record is drawn, no noise, weights that hardly move: the norms are the same at every step.
const still = (clip: Partial<AdaptiveOptions> = {}): Options => ({
  steps: 40,
  noiseMultiplier: 0,
  sampler: poisson({ batchSize: 40 }),
  clip: adaptive({ maxGradNorm: 1, quantile: 0.37, ...clip }),
});

/** Thresholds of the steps, from the first to the one that would follow the last. */
function thresholds(
  options: Options,
  disturb: (engine: PrivacyEngine, step: number) => void = () => undefined,
): number[] {
  const model = smallModel();
  const engine = engineFor(model, options);
  const optimizer = engine.attach(optimizers.sgd(model));
  optimizer.lr = 1e-30;
  const seen = [engine.clip.maxGradNorm];
  for (const batch of engine.batches(histories())) {
    disturb(engine, seen.length);
    const { steps } = engine;
    optimizer.step({ loss: model.loss(batch) });
    if (engine.steps > steps) seen.push(engine.clip.maxGradNorm);
  }
  return seen;
}

test.each([0.2, 0.5, 0.9])('the threshold goes to the %f-quantile of the norms', (quantile) => {
  const model = smallModel();
  const engine = engineFor(model, { ...still({ maxGradNorm: 0.05, quantile, learningRate: 0.5 }), steps: 60 });
  const optimizer = engine.attach(optimizers.sgd(model));
  optimizer.lr = 1e-30;
  const shares: number[] = [];
  for (const batch of engine.batches(histories())) {
    optimizer.step({ loss: model.loss(batch) });
    shares.push(1 - engine.trainingStats()!.clippedShare);
  }
  expect(shares[0]).toBe(0);
  const last = shares.slice(-20);
  const mean = last.reduce((sum, share) => sum + share, 0) / last.length;
  expect(Math.abs(mean - quantile)).toBeLessThan(0.08); // norms come in lumps: histories repeat
});

test('the count covers the whole logical batch, however it is cut', () => {
  const whole = thresholds({ ...still({ learningRate: 0.3 }), steps: 8 });
  expect(thresholds({ ...still({ learningRate: 0.3 }), steps: 8, performance: { memoryBudget: 1 } })).toEqual(whole);
  expect(new Set(whole).size).toBe(9);
});

test('norms are compared with the threshold without the loss scale, and a loss that is not finite counts as above', () => {
  const after = (change: (loss: Tensor) => Tensor, lossScale = 1): number => {
    const model = smallModel();
    const engine = engineFor(model, {
      sampler: external({ batchSize: 4 }),
      noiseMultiplier: 0,
      clip: adaptive({ maxGradNorm: 100, learningRate: 1 }),
    });
    const optimizer = engine.attach(optimizers.sgd(model));
    const [batch] = histories().pack(Int32Array.of(3, 4, 5, 6), { rowBudget: 100, maxLength: 6 });
    optimizer.step({ loss: change(model.loss(batch!)), lossScale });
    return engine.clip.maxGradNorm;
  };
  const all = after((loss) => loss);
  expect(all).toBeCloseTo(100 * Math.exp(-0.5), 10); // all four below: b = 1
  expect(after((loss) => loss.mul(2 ** 20), 2 ** 20)).toBe(all);
  const one = after((loss) => loss.mul(tensor([1, NaN, 1, 1])));
  expect(one).toBeCloseTo(100 * Math.exp(-0.25), 10); // three below, one above: b = 3/4
});

describe('a step that breaks off leaves no bits to the next one', () => {
  const options = { ...still({ learningRate: 0.3 }), steps: 3, performance: { memoryBudget: 1 } };

  test('when it is detached in the middle', () => {
    const whole = thresholds(options);
    const model = smallModel();
    const engine = engineFor(model, options);
    const seen = [engine.clip.maxGradNorm];
    for (const part of [7, 3, 40, 40, 40]) {
      let left = part;
      const optimizer = engine.attach(optimizers.sgd(model));
      optimizer.lr = 1e-30;
      for (const batch of engine.batches(histories())) {
        const { steps } = engine;
        optimizer.step({ loss: model.loss(batch) });
        if (engine.steps > steps) seen.push(engine.clip.maxGradNorm);
        if (--left === 0) break;
      }
      engine.detach();
    }
    expect(seen).toEqual(whole);
  });

  test('when its sum fails half added, and when its update fails after it was paid', () => {
    const whole = thresholds(options);
    const model = smallModel();
    const engine = engineFor(model, options);
    const optimizer = engine.attach(optimizers.sgd(model));
    optimizer.lr = 1e-30;
    const take = (count: number): void => {
      for (let k = 0; k < count; k++) {
        optimizer.step({ loss: model.loss(engine.batches(histories()).next().value as never) });
      }
    };
    take(5);
    const add = jest.spyOn(GradientBook.prototype, 'add').mockImplementationOnce(() => {
      throw new Error('no memory');
    });
    expect(() => take(1)).toThrow('no memory');
    add.mockRestore();
    take(39);
    const apply = jest.spyOn(optimizer, 'applyPrivate').mockImplementationOnce(() => {
      throw new Error('no memory');
    });
    expect(() => take(1)).toThrow('no memory');
    apply.mockRestore();
    expect(engine.ledger.unprotected).toBe(1);
    expect(engine.clip.maxGradNorm).toBe(whole[0]);
    take(40);
    expect(engine.clip.maxGradNorm).toBe(whole[1]);
  });
});

describe('noise', () => {
  const clip = adaptive({ maxGradNorm: 0.5, countNoise: 1.25, learningRate: 1 });

  test('of the gradient has the larger multiplier times the threshold of the step, and the ledger is charged the smaller one', () => {
    const model = smallModel();
    const engine = engineFor(model, { noiseMultiplier: 2, clip, steps: 4 });
    const optimizer = engine.attach(optimizers.sgd(model));
    const apply = jest.spyOn(optimizer, 'applyPrivate');
    const thresholdsSeen: number[] = [];
    for (const batch of engine.batches(histories())) {
      thresholdsSeen.push(engine.clip.maxGradNorm);
      optimizer.step({ loss: model.loss(batch) });
    }
    const sigma = (2 ** -2 - (2 * 1.25) ** -2) ** -0.5;
    expect(sigma).toBeGreaterThan(3);
    expect(new Set(thresholdsSeen).size).toBe(4);
    apply.mock.calls.forEach(([, { noiseStd, divisor }], step) => {
      expect(noiseStd / (sigma * thresholdsSeen[step]!)).toBeCloseTo(1, 12);
      expect(divisor).toBe(10);
    });
    expect(engine.ledger.events).toEqual([
      { kind: 'poissonGaussian', samplingRate: 0.25, noiseMultiplier: 2, count: 4 },
    ]);
    expect(engine.privacySpent().noiseMultiplier).toBe(2);
  });

  test('measured on a step without samples is that of the plan, and the count has noise of its own', () => {
    const model = smallModel({ dim: 32 });
    const engine = engineFor(model, {
      sampler: poisson({ batchSize: 1 }),
      records: 1_000_000,
      steps: 1,
      noiseMultiplier: 2,
      clip,
      insecureSeed: 2, // draws nobody
    });
    const before = weights(model);
    const optimizer = engine.attach(optimizers.sgd(model));
    const empty = histories().pack(new Int32Array(0), { rowBudget: 10, maxLength: 6 });
    for (const batch of engine.batches({ length: 1_000_000, pack: () => empty })) {
      expect(batch.samples).toBe(0);
      optimizer.step({ loss: model.loss(batch) });
    }
    const noise = weights(model).map((w, i) => (w - before[i]!) / 0.5);
    const deviation = Math.sqrt(noise.reduce((sum, x) => sum + x * x, 0) / noise.length);
    const sigma = (2 ** -2 - (2 * 1.25) ** -2) ** -0.5;
    expect(noise.length).toBeGreaterThan(5000);
    expect(Math.abs(deviation / (0.5 * sigma) - 1)).toBeLessThan(5 / Math.sqrt(2 * noise.length));
    const count = -Math.log(engine.clip.maxGradNorm / 0.5); // b̃ - γ, whose noise is 1.25 / 1
    expect(count).not.toBe(0);
    expect(Math.abs(count)).toBeLessThan(5 * 1.25);
    // Another part of the stream than the gradient's: the first normal is not used for both.
    expect(noise.some((x) => Math.abs(-x / (0.5 * sigma) - count / 1.25) < 1e-9)).toBe(false);
  });

  test('and thresholds repeat with a seed, and differ with another', () => {
    const run = (insecureSeed: number): number[] => thresholds({ noiseMultiplier: 2, clip, steps: 3, insecureSeed });
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  test('none leaves epsilon infinite', () => {
    const model = smallModel();
    const engine = engineFor(model, { ...still(), steps: 1 });
    const optimizer = engine.attach(optimizers.sgd(model));
    for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
    expect(engine.privacySpent().epsilon).toBe(Infinity);
  });
});

test('a refused step moves no threshold and counts no samples', () => {
  const options = { ...still({ learningRate: 0.3 }), steps: 3, performance: { memoryBudget: 1 } };
  const tries: number[] = [];
  const disturbed = thresholds(options, (engine, step) => {
    if (tries.length >= 5) return;
    tries.push(step);
    engine.lock();
    expect(() => engine.step({ loss: null as never })).toThrow(expect.objectContaining({ code: 'ERR_ENGINE_STATE' }));
    engine.unlock();
  });
  expect(tries).toHaveLength(5);
  expect(disturbed).toEqual(thresholds(options));
});

test('a noise multiplier that the count cannot afford is refused before an engine exists', () => {
  expect(() => engineFor(smallModel(), { noiseMultiplier: 1, clip: adaptive({ maxGradNorm: 1 }) })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('countNoise') as string }),
  );
});
