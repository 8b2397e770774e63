// Decoder families against Python's transformers: logits, losses, per-sample norms, and files that go there and back.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type TokenBatch, tokenBatch } from '../../../../lib/data';
import { CausalLM, DoubleHeads, fromPretrained, SequenceClassifier, type TaskModels } from '../../../../lib/models';
import { theirName } from '../../../../lib/models/pretrained/names';
import { namesOf } from '../../../../lib/models/pretrained/family';
import { perSampleNorms } from '../../../../lib/privacy';
import { noGrad, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';
import { CASES, expectedOf, folderOf } from './fixtures';

// Models this small lose more to waiting for a second thread than they gain.
beforeAll(() => setNumThreads(1));

type Model = TaskModels[keyof TaskModels];

const flat = (values: unknown): number[] =>
  Array.isArray(values) ? values.flatMap(flat) : [typeof values === 'number' ? values : Number(values)];
const numbers = (x: Tensor): number[] => flat(x.to('float64').toArray());

function expectNear(got: readonly number[], truth: readonly number[], tolerance: number): void {
  expect(got).toHaveLength(truth.length);
  const scale = Math.max(1, ...truth.map(Math.abs));
  const apart = got.reduce((most, value, i) => Math.max(most, Math.abs(value - truth[i]!)), 0);
  expect(apart / scale).toBeLessThan(tolerance);
}

function lossOf(model: Model, batch: TokenBatch): Tensor {
  if (model instanceof CausalLM || model instanceof SequenceClassifier) return model.loss(batch);
  throw new Error('features have no loss');
}

describe.each(CASES)('%s', (name, task) => {
  const truth = expectedOf(name);
  const batch = tokenBatch(truth.examples);

  test.each([
    ['float32', 1e-4],
    ['float64', 1e-9],
  ] as const)('logits and losses are those of transformers in %s', async (dtype, tolerance) => {
    const model = (await fromPretrained(folderOf(name), { task, dtype })).eval() as CausalLM | SequenceClassifier;
    tidy(() =>
      noGrad(() => {
        expectNear(numbers(model.logits(batch)), flat(truth.logits), tolerance);
        expectNear(numbers(lossOf(model, batch)), truth.losses, tolerance);
        if (model instanceof DoubleHeads)
          expectNear(numbers(model.choiceLogits(batch)), flat(truth.choiceLogits), tolerance);
      }),
    );
    model.dispose();
  });

  test('per-sample norms are those of autograd one example at a time, over all parameters and each', async () => {
    const model = (await fromPretrained(folderOf(name), { task, dtype: 'float64' })).eval();
    const rules = namesOf(model.origin);
    const { norm, bound, parameters } = perSampleNorms(model, () => lossOf(model, batch));
    expectNear(
      Array.from(norm),
      truth.norms.map(({ total }) => total),
      1e-9,
    );
    truth.norms.forEach(({ total }, b) => expect(bound[b]).toBeGreaterThanOrEqual(total * (1 - 1e-12)));
    let compared = 0;
    for (const [path, own] of parameters) {
      const theirs = theirName(rules, path)!;
      truth.norms.forEach((example, b) => {
        // A tied table may have its other name there, and is then part of the total alone.
        if (example.parameters[theirs] === undefined) return;
        compared += 1;
        expect(Math.abs(own[b]! - example.parameters[theirs])).toBeLessThan(1e-9 * Math.max(1, example.total));
      });
    }
    expect(compared).toBeGreaterThanOrEqual((parameters.size - 1) * truth.norms.length);
    model.dispose();
  });

  test('what is saved is loaded again bit by bit, under the names of the original', async () => {
    const folder = process.env.PHANTOMGRAD_SAVED ?? (await mkdtemp(join(tmpdir(), 'phantomgrad-')));
    try {
      const model = await fromPretrained(folderOf(name), { task });
      await model.savePretrained(join(folder, name));
      const again = await fromPretrained(join(folder, name), { task });
      const loaded = new Map<string, Tensor>(again.namedParameters());
      for (const [path, parameter] of model.namedParameters()) expect(loaded.get(path)!.equal(parameter)).toBe(true);
      const config = async (from: string): Promise<Record<string, unknown>> =>
        JSON.parse(await readFile(join(from, 'config.json'), 'utf8')) as Record<string, unknown>;
      expect(await config(join(folder, name))).toMatchObject(await config(folderOf(name)));
      model.dispose();
      again.dispose();
    } finally {
      if (process.env.PHANTOMGRAD_SAVED === undefined) await rm(folder, { recursive: true });
    }
  });
});
