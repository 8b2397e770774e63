// A whole recommender with the CUDA plugin's kernels: norms of each sample against autograd one sample at a time, and private training.

import { SequentialTransformer } from '../../../lib/models/sequential-transformer';
import { torch } from '../../../lib/tensor';
import { hostKit, hostMissing } from '../cuda/kit';
import { distance, engineFor, histories, ITEMS, optimizers, weights } from '../../lib/privacy/fixture';
import { withBook } from './book';

const ops = torch.ops.phantomgrad;
const missing = hostMissing();
const RECORDS = [0, 5, 6, 7, 12, 19];

const model = (): SequentialTransformer =>
  new SequentialTransformer({
    ...{ items: ITEMS, dim: 8, blocks: 2, heads: 2, maxLength: 6, seed: 3 },
    ...{ dropout: 0.1, reAttention: true },
  });

function withPlugin<T>(body: () => T): T {
  ops.ask_host_plugin(true);
  try {
    return body();
  } finally {
    ops.ask_host_plugin(false);
  }
}

const calls = (): Map<string, number> =>
  new Map(ops.plugin_report().map((line) => [line.split(':')[0]!, Number(/: (\d+) calls/.exec(line)![1])]));

if (missing === null) {
  hostKit();
  beforeEach(() => ops.plugin_forget());

  test('norms of every parameter and sample are those of autograd on the sample alone', () => {
    const m = model();
    const { bytesPerRow: _, ...layout } = m.packing();
    const pack = (records: readonly number[]) =>
      histories().pack(Int32Array.from(records), { rowBudget: 1000, ...layout })[0]!;
    const parameters = Object.fromEntries(m.parameters().map((p, i) => [String(i), p]));
    // Dropout goes by record and step, so a sample alone drops what it drops in the batch.
    const alone = RECORDS.map((record) => {
      for (const p of m.parameters()) p.grad = null;
      m.loss(pack([record]))
        .sum()
        .backward();
      return m.parameters().map((p) => {
        const gradient = p.grad?.to('float64').toTypedArray() as Float64Array | undefined;
        return gradient?.reduce((sum, x) => sum + x * x, 0) ?? 0;
      });
    });
    for (const p of m.parameters()) p.grad = null;
    const batch = pack(RECORDS);
    const order = Array.from(batch.recordIds as ArrayLike<number>, (record) => RECORDS.indexOf(record));
    const norms = withPlugin(() => withBook(parameters, (book) => book.backward(m.loss(batch)).norms()));
    order.forEach((from, b) => {
      const total = alone[from]!.reduce((sum, x) => sum + x, 0);
      alone[from]!.forEach((want, i) => {
        expect(Math.abs(norms.norm2[String(i)]![b]! - want)).toBeLessThanOrEqual(1e-4 * want + 1e-6 * total);
      });
      expect(norms.bound[b]).toBeGreaterThanOrEqual(Math.sqrt(total) * (1 - 1e-5));
      expect(norms.bound[b]).toBeLessThanOrEqual(Math.sqrt(total) * 1.01);
    });
    const idle = [...calls()].filter(([, count]) => count === 0).map(([family]) => family);
    expect(idle).toEqual(['private update']);
  });

  test('private training gives the weights that our CPU kernels give, within rounding, and the same ε', () => {
    const train = () => {
      const m = model();
      const before = weights(m);
      const engine = engineFor(m);
      const optimizer = engine.attach(optimizers.adam(m));
      for (const batch of engine.batches(histories())) optimizer.step({ loss: m.loss(batch) });
      return { before, after: weights(m), epsilon: engine.privacySpent().epsilon };
    };
    const own = train();
    const others = withPlugin(train);
    expect(others.epsilon).toBe(own.epsilon);
    expect(distance(own.before, own.after)).toBeGreaterThan(0.1);
    expect(distance(others.after, own.after)).toBeLessThan(1e-3 * distance(own.before, own.after));
    expect([...calls()].filter(([, count]) => count === 0)).toEqual([]);
  });
} else {
  console.warn(`SKIPPED: a whole model with the CUDA plugin's kernels. ${missing}.`);
  test.skip(`0 models ran with the plugin's kernels: ${missing}`, () => undefined);
}
