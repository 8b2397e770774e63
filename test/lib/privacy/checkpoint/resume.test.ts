// Laws of a run that is stopped and goes on: it ends where an uninterrupted one would, and has paid at least as much.

import { cpSync } from 'node:fs';
import { join } from 'node:path';

import { loadWeights } from '../../../../lib/models';
import {
  abadi,
  adaptive,
  external,
  frequencies,
  frequencySteps,
  groupScales,
  poisson,
  privacyStatement,
  readCheckpoint,
} from '../../../../lib/privacy';
import { noGrad } from '../../../../lib/tensor';
import { histories as engineData, smallModel, weights } from '../fixture';
import { fresh, kill, open, type Run } from './fixture';

const moments = ({ optimizer }: Run): number[] =>
  Object.values(optimizer.stateDict().tensors).flatMap((t) => Array.from(t.toTypedArray() as Float32Array));

test('without noise, a run stopped twice ends with the parameters, moments and ledger of an uninterrupted one, bit for bit', () => {
  const plain = { noiseMultiplier: 0, clip: abadi({ maxGradNorm: 1 }) };
  const whole = open(fresh(), plain);
  whole.train();
  const folder = fresh();
  let last: Run | null = null;
  for (const steps of [3, 5, 4]) {
    last = open(folder, plain);
    expect(last.train(steps)).toBe(steps);
    last.checkpoint.close();
  }
  const { engine, model, optimizer } = last as unknown as Run;
  expect(engine.steps).toBe(12);
  expect(engine.ledger.toJSON()).toEqual(whole.engine.ledger.toJSON());
  expect(weights(model)).toEqual(weights(whole.model));
  expect(moments(last as unknown as Run)).toEqual(moments(whole));
  expect(optimizer.steps).toBe(12);
});

test('scales, row steps, output bias and averaged weights go on bit for bit', () => {
  const shares = Array.from({ length: 31 }, (_, i) => 1 / (1 + i));
  const plan = {
    noiseMultiplier: 0,
    clip: abadi({ maxGradNorm: 1 }),
    scales: groupScales([{ prefixes: ['positions', 'blocks'], scale: 0.2 }]),
    frequencies: frequencies.public(shares),
    rowSteps: frequencySteps({ tables: ['items'] }),
  };
  const begin = (folder: string): Run =>
    open(folder, plan, {}, smallModel({ outputBias: true }), { averageDecay: 0.9 });
  const whole = begin(fresh());
  whole.train();
  const folder = fresh();
  const first = begin(folder);
  first.train(5);
  first.checkpoint.close();
  const last = begin(folder);
  expect(last.checkpoint.resumedAt).toBe(5);
  const average = ({ optimizer, model }: Run): number[] => optimizer.withAverage(() => weights(model));
  expect(average(last)).toEqual(average(first)); // known before the first step of the second part
  last.train();
  expect(weights(last.model)).toEqual(weights(whole.model));
  expect(average(last)).toEqual(average(whole));
  expect(average(last)).not.toEqual(weights(last.model));
  expect(last.model.outputBias).toEqual(whole.model.outputBias);
});

test('a private run stopped and resumed takes the planned steps and costs what an uninterrupted one costs', () => {
  const secure = { insecureSeed: undefined as never };
  const whole = open(fresh(), secure);
  expect(whole.train()).toBe(12);
  const folder = fresh();
  const first = open(folder, secure);
  first.train(5);
  first.checkpoint.close();
  expect(readCheckpoint(folder).ledger.events).toEqual(first.engine.ledger.events); // the unused ones were given back
  const saved = { parameters: weights(first.model), moments: moments(first), lr: first.optimizer.lr };
  const other = smallModel();
  noGrad(() => other.parameters().forEach((parameter) => parameter.fill_(7)));
  const second = open(folder, secure, {}, other);
  expect(second.checkpoint.resumedAt).toBe(5);
  expect({ parameters: weights(second.model), moments: moments(second), lr: second.optimizer.lr }).toEqual(saved);
  expect(second.train()).toBe(7);
  second.checkpoint.close();
  expect(second.engine.ledger.toJSON()).toEqual(whole.engine.ledger.toJSON());
  expect(second.engine.privacySpent()).toEqual(whole.engine.privacySpent());
  expect(readCheckpoint(folder)).toMatchObject({ steps: 12, ledger: whole.engine.ledger.toJSON() });
});

test('what is saved are the parameters of the last complete step, readable as weights', async () => {
  const folder = fresh();
  const run = open(folder);
  run.train(4); // a save is due
  const stored = await loadWeights(join(folder, 'state-000002', 'weights.safetensors'));
  for (const [name, parameter] of run.model.namedParameters()) {
    expect(stored.tensors.get(name)?.toTypedArray()).toEqual(parameter.toTypedArray());
  }
  run.checkpoint.close();
});

test('two runs that go on from one checkpoint draw different noise', () => {
  const folder = fresh();
  const plan = { insecureSeed: undefined as never, sampler: poisson({ batchSize: 40 }) }; // everybody is drawn: only noise differs
  const first = open(folder, plan);
  first.train(1);
  first.checkpoint.close();
  const copy = fresh();
  cpSync(folder, copy, { recursive: true });
  const [a, b] = [open(folder, plan), open(copy, plan)];
  expect(weights(a.model)).toEqual(weights(b.model));
  a.train(1);
  b.train(1);
  expect(weights(a.model)).not.toEqual(weights(b.model));
  a.checkpoint.close();
  b.checkpoint.close();
});

test('a threshold that moves goes on where it was', () => {
  const folder = fresh();
  const plan = { clip: adaptive({ maxGradNorm: 0.5, countNoise: 3 }) };
  const first = open(folder, plan);
  first.train(3);
  first.checkpoint.close();
  const { maxGradNorm } = first.engine.clip;
  expect(maxGradNorm).not.toBe(0.5);
  const second = open(folder, plan);
  expect(second.engine.clip.maxGradNorm).toBe(maxGradNorm);
  second.checkpoint.close();
});

test('steps since the last saved state, and what was reserved, are lost by a crash: spent, and the run ends that much earlier', () => {
  const folder = fresh();
  const first = open(folder, {}, { reserve: 2 });
  first.train(7); // saved at 4; 5, 6 and 7 taken; 8 reserved
  kill(first);
  expect(readCheckpoint(folder).ledger.events[0]?.count).toBe(8);
  const second = open(folder);
  expect(second.engine.steps).toBe(4);
  expect(second.engine.privacySpent()).toMatchObject({ steps: 4, lostSteps: 4 });
  expect(second.engine.remainingSteps).toBe(4);
  expect(second.train()).toBe(4);
  second.checkpoint.close();
  expect(second.engine.privacySpent()).toMatchObject({ steps: 8, lostSteps: 4 });
  const uninterrupted = open(fresh());
  uninterrupted.train();
  expect(second.engine.privacySpent().epsilon).toBe(uninterrupted.engine.privacySpent().epsilon);
  const statement = privacyStatement(second.engine, { unit: 'one user', notCovered: [] });
  expect(statement).toMatchObject({ steps: 8, plannedSteps: 12, lostSteps: 4 });
});

test('the statement names lost steps', () => {
  const folder = fresh();
  const secure = { insecureSeed: undefined as never };
  const first = open(folder, secure, { reserve: 1 });
  first.train(2);
  kill(first);
  const second = open(folder, secure);
  expect(privacyStatement(second.engine, { unit: 'one user' }).text).toContain('2 more were paid for and lost');
  second.checkpoint.close();
});

test('recoverySteps pay for lost steps: the run takes all planned ones within the target', () => {
  const folder = fresh();
  const plan = { noiseMultiplier: undefined as never, target: { epsilon: 6, delta: 1e-3 }, recoverySteps: 4 };
  const first = open(folder, plan);
  const plain = open(fresh(), { ...plan, recoverySteps: 0 });
  expect(first.engine.plan.noiseMultiplier).toBeGreaterThan(plain.engine.plan.noiseMultiplier);
  first.train(7);
  kill(first);
  const second = open(folder, plan);
  const lost = second.engine.lostSteps;
  expect(lost).toBeGreaterThan(0);
  expect(lost).toBeLessThanOrEqual(4);
  expect(4 + second.train()).toBe(12);
  second.checkpoint.close();
  expect(second.engine.privacySpent()).toMatchObject({ steps: 12, lostSteps: lost });
  expect(second.engine.privacySpent().epsilon).toBeLessThanOrEqual(6);
  plain.checkpoint.close();
});

test('a budget of n steps: step n passes, step n + 1 throws and changes nothing, also after resuming', () => {
  const folder = fresh();
  const plan = { sampler: external({ batchSize: 10 }), steps: 5 };
  const step = ({ model, engine, optimizer }: Run): void => {
    const [batch] = engineData().pack(Int32Array.of(1, 2), { rowBudget: 100, maxLength: 6 });
    (optimizer as never as { step(input: object): void }).step({ loss: model.loss(batch!) });
    expect(engine.steps).toBeLessThanOrEqual(5);
  };
  const first = open(folder, plan);
  for (let k = 0; k < 3; k++) step(first);
  first.checkpoint.close();
  const second = open(folder, plan);
  for (let k = 0; k < 2; k++) step(second);
  const before = weights(second.model);
  expect(() => step(second)).toThrow(expect.objectContaining({ code: 'ERR_PRIVACY_BUDGET' }));
  expect(weights(second.model)).toEqual(before);
  expect(second.engine.ledger.events[0]?.count).toBe(5);
  second.checkpoint.close();
  const third = open(folder, plan);
  expect(() => step(third)).toThrow(expect.objectContaining({ code: 'ERR_PRIVACY_BUDGET' }));
  third.checkpoint.close();
  expect(readCheckpoint(folder).ledger.events[0]?.count).toBe(5);
});

test('after close no step is taken, which the disk would not know of', () => {
  const run = open(fresh());
  run.train(2);
  run.checkpoint.close();
  const before = weights(run.model);
  expect(() => run.train(1)).toThrow(expect.objectContaining({ code: 'ERR_ENGINE_STATE' }));
  expect(weights(run.model)).toEqual(before);
  expect(run.engine.ledger.events[0]?.count).toBe(2);
});

test('an engine that ends without close gives back what it did not take; what it took since the last save is lost', () => {
  const folder = fresh();
  const run = open(folder, {}, { every: 10, reserve: 5 });
  run.train(3);
  run.engine.close();
  expect(readCheckpoint(folder)).toMatchObject({ steps: 0, ledger: { events: [{ count: 3 }] } });
  const next = open(folder);
  expect(next.engine.lostSteps).toBe(3);
  next.checkpoint.close();
});

test('a removed checkpoint is gone, and the folder can hold another run', () => {
  const folder = fresh();
  const run = open(folder);
  run.train(5);
  run.checkpoint.remove();
  expect(() => readCheckpoint(folder)).toThrow(expect.objectContaining({ code: 'ERR_CHECKPOINT_NOT_FOUND' }));
  const next = open(folder);
  expect(next.checkpoint.resumedAt).toBeNull();
  next.checkpoint.close();
});

test('a run of which one part could be repeated from a seed says so to its end, whoever takes the other parts', () => {
  const secure = { insecureSeed: undefined as never };
  const folder = fresh();
  for (const [plan, stamp] of [
    [secure, undefined],
    [{ insecureSeed: 5 }, 5],
    [secure, 5],
    [secure, 5],
  ] as const) {
    const part = open(folder, plan);
    expect(part.train(3)).toBe(3);
    part.checkpoint.close();
    expect(part.engine.ledger.insecureSeed).toBe(stamp);
    expect(readCheckpoint(folder).ledger.insecureSeed).toBe(stamp);
    expect(privacyStatement(part.engine, { unit: 'one user' }).insecure).toBe(stamp !== undefined);
    part.engine.close();
  }
});

describe('with Re-Attention', () => {
  const plan = { frequencies: frequencies.privateHistogram({ noiseMultiplier: 7 }) };
  const attentive = () => smallModel({ reAttention: { error: 'tracked' } });
  const histograms = ({ engine }: Run): number =>
    engine.ledger.charged({ kind: 'gaussian', noiseMultiplier: 7, count: 1 });

  test('a resumed run goes on with the frequencies and variances that it had, and releases no second histogram', () => {
    const folder = fresh();
    const first = open(folder, plan, {}, attentive());
    first.train(5);
    first.checkpoint.close();
    const second = open(folder, plan, {}, attentive());
    expect(second.model.noiseVariance).toEqual(first.model.noiseVariance);
    expect(second.model.noiseVariance?.weight).toBeGreaterThan(0);
    second.train();
    second.checkpoint.close();
    expect([histograms(second), second.engine.steps]).toEqual([1, 12]);
    expect(readCheckpoint(folder).ledger).toEqual(second.engine.ledger.toJSON());
  });

  test('the histogram is saved as soon as it is released: a crash in the first step does not lose it', () => {
    const folder = fresh();
    const first = open(folder, plan, {}, smallModel({ reAttention: true }));
    first.train(1);
    kill(first);
    const second = open(folder, plan, {}, smallModel({ reAttention: true }));
    expect(second.engine).toMatchObject({ steps: 0, lostSteps: 1 });
    expect(second.model.noiseVariance).toEqual(first.model.noiseVariance);
    second.train(1);
    expect(histograms(second)).toBe(1);
    kill(second);
  });

  test('one that was lost between paying and saving is not paid for again, and that is said', () => {
    const folder = fresh();
    const first = open(folder, plan, {}, attentive());
    const save = jest.spyOn(first.checkpoint, 'save').mockImplementation(() => {
      throw new Error('killed');
    });
    expect(() => first.train(1)).toThrow('killed');
    save.mockRestore();
    kill(first);
    const warning = jest.spyOn(process, 'emitWarning').mockImplementation();
    const second = open(folder, plan, {}, attentive());
    expect(second.train()).toBe(12);
    second.checkpoint.close();
    expect(warning).toHaveBeenCalledWith(expect.stringContaining('paid for and lost'), 'PhantomgradWarning');
    warning.mockRestore();
    expect([histograms(second), second.engine.lostSteps]).toEqual([1, 0]);
  });

  test('other frequencies are refused', () => {
    const folder = fresh();
    kill(open(folder, plan, {}, attentive()));
    const other = { frequencies: frequencies.privateHistogram({ noiseMultiplier: 8 }) };
    expect(() => open(folder, other, {}, attentive())).toThrow(/plan\.frequencies\.noiseMultiplier: 7 .* 8 now/);
  });
});
