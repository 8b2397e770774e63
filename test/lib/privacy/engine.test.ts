// Laws of the private step: what it equals without noise, what it adds, what it refuses, and what a refusal leaves behind.

import {
  abadi,
  external,
  normalize,
  PlainEngine,
  poisson,
  type PrivacyEngine,
  truncatedPoisson,
} from '../../../lib/privacy';
import { Parameter } from '../../../lib/nn';
import { tensor, torch } from '../../../lib/tensor';
import { runChild } from '../../fixtures/child';
import { distance, engineFor, histories, optimizers, smallModel, weights } from './fixture';

function train(
  engine: Pick<PrivacyEngine, 'attach' | 'batches'>,
  model = smallModel(),
  kind: 'adam' | 'sgd' = 'adam',
): number[] {
  const optimizer = engine.attach(optimizers[kind](model));
  for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
  return weights(model);
}

describe('without noise and with an infinite threshold', () => {
  test('the private step equals the plain step bit for bit', () => {
    const [a, b] = [smallModel(), smallModel()];
    const secret = engineFor(a, { noiseMultiplier: 0, clip: abadi({ maxGradNorm: Infinity }), insecureSeed: 5 });
    const plain = new PlainEngine(b, { records: 40, epochs: 1, sampler: poisson({ batchSize: 10 }), seed: 5 });
    expect(train(secret, a)).toEqual(train(plain, b));
  });

  test('a loss scale changes nothing but rounding', () => {
    const run = (lossScale: number): number[] => {
      const model = smallModel();
      const engine = engineFor(model, { noiseMultiplier: 0 });
      const optimizer = engine.attach(optimizers.sgd(model));
      for (const batch of engine.batches(histories())) {
        optimizer.step({ loss: model.loss(batch).mul(lossScale), lossScale });
      }
      return weights(model);
    };
    expect(distance(run(1), run(1024))).toBeLessThan(1e-5);
  });

  test('physical batches of any size give the same step', () => {
    const run = (memoryBudget: number): number[] => {
      const model = smallModel({ dropout: 0.3 });
      return train(engineFor(model, { noiseMultiplier: 0, performance: { memoryBudget } }), model, 'sgd');
    };
    const whole = run(2 ** 26);
    const moved = distance(whole, weights(smallModel()));
    expect(distance(run(1), whole)).toBeLessThan(1e-5 * moved);
    expect(distance(run(60_000), whole)).toBeLessThan(1e-5 * moved);
  });

  test('removing one record moves the released sum by at most C', () => {
    const released = (left: number): number[] => {
      const model = smallModel();
      const all = histories();
      const kept = Array.from({ length: 40 }, (_, i) => i).filter((i) => i !== left);
      const data = {
        length: kept.length,
        pack: (ids: Int32Array, o: never) =>
          all.pack(
            ids.map((i) => kept[i] as number),
            o,
          ),
      };
      const engine = engineFor(model, {
        records: kept.length,
        steps: 1,
        noiseMultiplier: 0,
        sampler: poisson({ batchSize: kept.length }),
        clip: normalize({ maxGradNorm: 0.7 }),
      });
      const before = weights(model);
      const optimizer = engine.attach(optimizers.sgd(model));
      for (const batch of engine.batches(data)) optimizer.step({ loss: model.loss(batch) });
      return weights(model).map((w, i) => (((before[i] as number) - w) / 0.5) * kept.length);
    };
    const all = released(-1);
    for (const left of [0, 7, 23]) {
      const gap = distance(all, released(left));
      expect(gap).toBeLessThanOrEqual(0.7 * (1 + 1e-4));
      expect(gap).toBeGreaterThan(0.69); // normalised gradients use the whole bound
    }
  });
});

describe('noise', () => {
  test('an empty batch is a step of noise alone, and is charged', () => {
    const model = smallModel();
    const engine = engineFor(model, {
      sampler: poisson({ batchSize: 1 }),
      records: 1_000_000,
      steps: 1,
      noiseMultiplier: 2,
      insecureSeed: 2, // draws nobody
    });
    const before = weights(model);
    const optimizer = engine.attach(optimizers.sgd(model));
    const empty = histories().pack(new Int32Array(0), { rowBudget: 10, maxLength: 6 });
    const data = {
      length: 1_000_000,
      pack: (drawn: Int32Array) => {
        expect(drawn).toHaveLength(0);
        return empty;
      },
    };
    for (const batch of engine.batches(data)) {
      expect(batch.samples).toBe(0);
      optimizer.step({ loss: model.loss(batch) });
    }
    const noise = weights(model).map((w, i) => (w - (before[i] as number)) / 0.5);
    const deviation = Math.sqrt(noise.reduce((sum, x) => sum + x * x, 0) / noise.length);
    expect(deviation).toBeGreaterThan(2 * (1 - 5 / Math.sqrt(2 * noise.length)));
    expect(deviation).toBeLessThan(2 * (1 + 5 / Math.sqrt(2 * noise.length)));
    expect(noise.filter((x) => x === 0).length).toBeLessThan(noise.length / 20); // every parameter
    expect(engine.ledger.events).toEqual([expect.objectContaining({ count: 1, noiseMultiplier: 2 })]);
  });

  test('the same seed repeats a run, another one does not', () => {
    const run = (insecureSeed: number): number[] => {
      const model = smallModel();
      return train(engineFor(model, { insecureSeed }), model);
    };
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  test('the spent epsilon reaches the target and never passes it', () => {
    const model = smallModel();
    const engine = engineFor(model, { target: { epsilon: 3, delta: 1e-5 }, noiseMultiplier: undefined as never });
    train(engine, model);
    const { epsilon, steps } = engine.privacySpent();
    expect(steps).toBe(4);
    expect(epsilon).toBeLessThanOrEqual(3);
    expect(epsilon).toBeGreaterThan(2.95);
  });
});

describe('a sample that is not finite', () => {
  test('contributes nothing, is counted, and leaves the others as they are', () => {
    const run = (poison: boolean): { moved: number[]; notFinite: number | undefined } => {
      const model = smallModel();
      const engine = engineFor(model, { sampler: external({ batchSize: 3 }), steps: 1, noiseMultiplier: 0 });
      const optimizer = engine.attach(optimizers.sgd(model));
      const [batch] = histories().pack(Int32Array.of(3, 4, 5), { rowBudget: 100, maxLength: 6 });
      const mask = tensor([1, poison ? NaN : 0, 1]);
      optimizer.step({ loss: model.loss(batch!).mul(mask) });
      return { moved: weights(model), notFinite: engine.trainingStats()?.notFinite };
    };
    const clean = run(false);
    const poisoned = run(true);
    expect(poisoned.moved).toEqual(clean.moved);
    expect([clean.notFinite, poisoned.notFinite]).toEqual([0, 1]);
  });

  test('parameters that are not finite after a step are an error', () => {
    const model = smallModel();
    const engine = engineFor(model, { noiseMultiplier: 100 });
    const optimizer = engine.attach(optimizers.sgd(model));
    optimizer.lr = 1e38;
    const run = (): void => {
      for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
    };
    expect(run).toThrow(expect.objectContaining({ code: 'ERR_NOT_FINITE' }));
  });
});

describe('refusals leave parameters, ledger and step count as they were', () => {
  type Setting = {
    model: ReturnType<typeof smallModel>;
    engine: PrivacyEngine;
    optimizer: ReturnType<PrivacyEngine['attach']>;
  };
  function refuses(
    code: string,
    attempt: (setting: Setting) => void,
    options: Parameters<typeof engineFor>[1] = {},
  ): void {
    const model = smallModel();
    const engine = engineFor(model, options);
    const optimizer = engine.attach(optimizers.adam(model));
    const before = weights(model);
    expect(() => attempt({ model, engine, optimizer })).toThrow(expect.objectContaining({ code }));
    expect(weights(model)).toEqual(before);
    expect(engine.steps).toBe(0);
    expect(engine.ledger.events).toEqual([]);
  }
  const first = ({ engine }: Setting) => engine.batches(histories()).next().value!;

  test('a loss without a drawn batch', () =>
    refuses('ERR_BATCH_NOT_SAMPLED', ({ model, optimizer }) => {
      const [batch] = histories().pack(Int32Array.of(1, 2), { rowBudget: 100, maxLength: 6 });
      optimizer.step({ loss: model.loss(batch!) });
    }));

  test('a loss of another batch than the drawn one', () =>
    refuses('ERR_BATCH_NOT_SAMPLED', (setting) => {
      const batch = first(setting);
      setting.optimizer.step({ loss: setting.model.loss({ ...batch }) });
    }));

  test('a batch that is left out', () =>
    refuses('ERR_BATCH_NOT_SAMPLED', ({ engine }) => {
      const batches = engine.batches(histories());
      batches.next();
      batches.next();
    }));

  test('a loss of the wrong shape', () =>
    refuses('ERR_LOSS_SHAPE', (setting) =>
      setting.optimizer.step({ loss: setting.model.loss(first(setting)).mean() }),
    ));

  test.each(['nothing', 'a bare loss', 'a misspelt option'])('a step that is given %s', (given) =>
    refuses('ERR_INVALID_ARGUMENT', (setting) => {
      const loss = setting.model.loss(first(setting));
      const input = { nothing: undefined, 'a bare loss': loss, 'a misspelt option': { loss, loss_scale: 2 } }[given];
      setting.optimizer.step(input);
    }),
  );

  test('a backward pass of the caller', () =>
    refuses('ERR_BACKWARD_OUTSIDE_STEP', (setting) => setting.model.loss(first(setting)).sum().backward()));

  test('samples that mix', () =>
    refuses('ERR_SAMPLES_MIXED', (setting) => {
      const loss = setting.model.loss(first(setting));
      setting.optimizer.step({ loss: loss.sub(loss.mean()) });
    }));

  test('an operator without a rule', () =>
    refuses('ERR_NO_GRADIENT_RULE', (setting) => {
      const batch = first(setting);
      const penalty = torch.ops.aten
        .matmul(setting.model.items.weight, torch.ops.aten.t(setting.model.items.weight))
        .sum();
      setting.optimizer.step({ loss: setting.model.loss(batch).add(penalty) });
    }));

  test('a model in evaluation mode', () =>
    refuses('ERR_ENGINE_STATE', (setting) => {
      const loss = setting.model.loss(first(setting));
      setting.model.eval();
      setting.optimizer.step({ loss });
    }));

  test('a parameter that was frozen while attached', () =>
    refuses('ERR_ENGINE_STATE', (setting) => {
      setting.model.positions.weight.requiresGrad_(false);
      setting.optimizer.step({ loss: setting.model.loss(first(setting)) });
    }));

  test('a parameter that was replaced while attached', () =>
    refuses('ERR_ENGINE_STATE', (setting) => {
      const batch = first(setting);
      Object.assign(setting.model.items, { weight: new Parameter(setting.model.items.weight.detach()) });
      setting.optimizer.step({ loss: setting.model.loss(batch) });
    }));

  test('a clipping rule that breaks its promise', () => {
    const rule = normalize({ maxGradNorm: 1 });
    const broken = { ...rule, factors: (bounds: Float64Array) => rule.factors(bounds).map((factor) => 1.01 * factor) };
    refuses('ERR_INVALID_ARGUMENT', (setting) => setting.optimizer.step({ loss: setting.model.loss(first(setting)) }), {
      clip: broken,
    });
  });

  test('a locked engine', () =>
    refuses('ERR_ENGINE_STATE', (setting) => {
      const loss = setting.model.loss(first(setting));
      setting.engine.lock();
      setting.optimizer.step({ loss });
    }));

  test('a second attach', () =>
    refuses('ERR_ENGINE_STATE', ({ model, engine }) => engine.attach(optimizers.adam(model))));

  test('a second engine on the same model', () =>
    refuses('ERR_ENGINE_STATE', ({ model }) => engineFor(model).attach(optimizers.adam(model))));
});

test('a parameter that takes no part in the loss is named, and the step is not charged', () => {
  const model = smallModel();
  const engine = engineFor(model, { sampler: external({ batchSize: 2 }) });
  const optimizer = engine.attach(optimizers.adam(model));
  const loss = model.items.forward(tensor([[1], [2]], { dtype: 'int64' })).sum([1, 2]);
  expect(() => optimizer.step({ loss })).toThrow(
    expect.objectContaining({ code: 'ERR_PARAMETER_UNUSED', message: expect.stringContaining('positions.weight') }),
  );
  expect(engine.ledger.events).toEqual([]);
});

test('a step beyond the plan is refused and changes nothing', () => {
  const model = smallModel();
  const engine = engineFor(model, { sampler: external({ batchSize: 2 }), steps: 2 });
  const optimizer = engine.attach(optimizers.adam(model));
  const step = (): void => {
    const [batch] = histories().pack(Int32Array.of(1, 9), { rowBudget: 100, maxLength: 6 });
    optimizer.step({ loss: model.loss(batch!) });
  };
  step();
  step();
  const before = weights(model);
  const { epsilon } = engine.privacySpent();
  expect(step).toThrow(expect.objectContaining({ code: 'ERR_PRIVACY_BUDGET' }));
  expect(weights(model)).toEqual(before);
  expect(engine.privacySpent().epsilon).toBe(epsilon);
});

test('virtual steps fold into the next step', () => {
  const run = (parts: Int32Array[]): number[] => {
    const model = smallModel();
    const engine = engineFor(model, { sampler: external({ batchSize: 4 }), steps: 1, noiseMultiplier: 0 });
    const optimizer = engine.attach(optimizers.sgd(model));
    parts.forEach((ids, k) => {
      const [batch] = histories().pack(ids, { rowBudget: 100, maxLength: 6 });
      const loss = model.loss(batch!);
      if (k === parts.length - 1) optimizer.step({ loss });
      else optimizer.virtualStep({ loss });
    });
    expect(engine.steps).toBe(1);
    return weights(model);
  };
  expect(distance(run([Int32Array.of(1, 2), Int32Array.of(3, 4)]), run([Int32Array.of(1, 2, 3, 4)]))).toBeLessThan(
    1e-6,
  );
});

test('after detach the optimizer steps on plain gradients again', () => {
  const model = smallModel();
  const engine = engineFor(model);
  const optimizer = optimizers.sgd(model);
  engine.attach(optimizer);
  engine.detach();
  const before = weights(model);
  const [batch] = histories().pack(Int32Array.of(1, 2), { rowBudget: 100, maxLength: 6 });
  model.loss(batch!).mean().backward();
  optimizer.step();
  expect(distance(weights(model), before)).toBeGreaterThan(0);
});

test('after detach the optimizer refuses a loss instead of ignoring it, and after close the engine refuses to attach', () => {
  const model = smallModel();
  const engine = engineFor(model);
  const optimizer = engine.attach(optimizers.sgd(model));
  engine.detach();
  const state = expect.objectContaining({ code: 'ERR_ENGINE_STATE' });
  expect(() => optimizer.step({ loss: tensor([1]) })).toThrow(state);
  engine.close();
  expect(() => engine.attach(optimizers.sgd(model))).toThrow(state);
  engineFor(model).attach(optimizers.sgd(model)); // the refusals left nothing attached
});

test('an engine that is dropped without close gives its parameters back to the next one', async () => {
  const ended = await runChild('dropped-engine.cjs', [], { flags: ['--expose-gc', '--no-warnings'] });
  expect(ended).toMatchObject({ code: 0, stdout: 'refused\ngiven back\n', stderr: '' });
});

test('a delta beside a target is refused, not ignored', () => {
  const twice = { target: { epsilon: 3 }, noiseMultiplier: undefined as never, delta: 1e-6 };
  expect(() => engineFor(smallModel(), twice)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

test.each([
  ['engine', 'neighbors', () => engineFor(smallModel(), { neighbors: 'replace' } as never)],
  [
    'target',
    'eps',
    () => engineFor(smallModel(), { target: { epsilon: 3, eps: 2 }, noiseMultiplier: undefined } as never),
  ],
  [
    'plain engine',
    'steps',
    () =>
      new PlainEngine(smallModel(), { records: 40, epochs: 1, steps: 3, sampler: poisson({ batchSize: 10 }) } as never),
  ],
  ['sampler', 'rate', () => poisson({ batchSize: 10, rate: 0.1 } as never)],
  ['sampler with a bound', 'max', () => truncatedPoisson({ batchSize: 10, maxBatchSize: 20, max: 20 } as never)],
] as const)('an option that nothing reads is refused by the %s: %s', (_, name, make) => {
  expect(make).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(`no option ${name};`) as string,
    }),
  );
});
