// Laws of the recommender model: samples do not see each other, nor the future, and scores are the loss's own logits.

import { SequenceDataset } from '../../../lib/data';
import { SequentialTransformer } from '../../../lib/models/sequential-transformer';
import { noGrad } from '../../../lib/tensor';

const ITEMS = 20;
const data = SequenceDataset.from([[1, 2, 3, 4, 5], [6, 7], [8], [9, 10, 11, 12, 13, 14, 15, 16]], ITEMS);

function model(options: Partial<ConstructorParameters<typeof SequentialTransformer>[0]> = {}): SequentialTransformer {
  return new SequentialTransformer({
    items: ITEMS,
    dim: 8,
    blocks: 2,
    heads: 2,
    maxLength: 5,
    dropout: 0,
    seed: 1,
    ...options,
  });
}

function losses(m: SequentialTransformer, records: number[]): Map<number, number> {
  const { bytesPerRow: _, ...layout } = m.packing();
  const [batch] = data.pack(Int32Array.from(records), { rowBudget: 100, ...layout });
  const values = noGrad(() => m.loss(batch!).toArray() as number[]);
  return new Map(values.map((value, b) => [batch!.recordIds[b] as number, value]));
}

test.each(['all', 'last'] as const)(
  'the loss of a sample does not depend on its neighbours (%s targets)',
  (targets) => {
    const m = model({ targets });
    const together = losses(m, [0, 1, 2, 3]);
    for (const record of [0, 1, 2, 3]) expect(losses(m, [record]).get(record)).toBeCloseTo(together.get(record)!, 5);
  },
);

test('a sequence of one item has no rows and a loss of 0', () => {
  expect(losses(model(), [2]).get(2)).toBe(0);
  expect(losses(model({ targets: 'last' }), [2, 0]).get(2)).toBe(0);
});

test('the loss of the last position is the cross entropy of the scores', () => {
  const m = model({ targets: 'last' });
  const scores = m.scores(Int32Array.of(1, 2, 3, 4)).slice(1); // without the padding column
  const most = Math.max(...scores);
  const lse = most + Math.log(scores.reduce((sum, z) => sum + Math.exp(z - most), 0));
  expect(losses(m, [0]).get(0)).toBeCloseTo(lse - (scores[4] as number), 5);
});

test('scores of a batch are the scores of each history, empty ones included', () => {
  const m = model();
  const all = [Int32Array.of(3, 4), new Int32Array(0), Int32Array.of(9, 10, 11, 12, 13, 14, 15)];
  const together = m.scoresBatch(all);
  all.forEach((history, i) => {
    const alone = m.scores(history);
    alone.forEach((score, j) => expect(together[i * (ITEMS + 1) + j]).toBeCloseTo(score, 5));
  });
  expect(m.training).toBe(true);
});

test('dropout of a record depends on its number and the step, not on the batch', () => {
  const m = model({ dropout: 0.4 });
  expect(losses(m, [0]).get(0)).toBeCloseTo(losses(m, [3, 0, 1]).get(0)!, 5);
});

test('equal seeds give equal models, other seeds others', () => {
  const values = (seed: number): unknown => model({ seed }).items.weight.toArray();
  expect(values(4)).toEqual(values(4));
  expect(values(4)).not.toEqual(values(5));
});

test.each([
  ['items', { items: 0 }],
  ['heads', { heads: 3 }],
  ['targets', { targets: 'some' as never }],
  ['an unknown option', { layers: 3 } as never],
])('refuses %s out of range', (_name, options) => {
  expect(() => model(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

describe('with Re-Attention', () => {
  const probability = Float64Array.from({ length: ITEMS + 1 }, (_, i) => 1 / (1 + i));
  const error = {
    noiseMultiplier: 5,
    expectedBatchSize: 4,
    frequencies: { provenance: 'public', probability },
  } as const;
  const history = Int32Array.of(1, 19, 2, 18);
  // Attention that is far from uniform, so that a correction shows.
  const sharp = (options: Parameters<typeof model>[0] = {}): SequentialTransformer => {
    const m = model({ reAttention: true, ...options });
    noGrad(() => m.parameters().forEach((p) => p.mul_(15)));
    return m;
  };

  test('nothing changes before an engine says that there is noise, nor after it says that there is none', () => {
    const [plain, m] = [sharp({ reAttention: false }).scores(history), sharp()];
    expect(m.scores(history)).toEqual(plain);
    m.setEffectiveError({ ...error, noiseMultiplier: 0 });
    expect(m.scores(history)).toEqual(plain);
    m.setEffectiveError(error);
    expect(m.scores(history)).not.toEqual(plain);
    m.setEffectiveError(null);
    expect(m.scores(history)).toEqual(plain);
  });

  test.each(['logit', 'paper', 'secondOrder'] as const)(
    '%s scores otherwise than the others and than off',
    (correction) => {
      const scores = (chosen: typeof correction | 'off'): Float32Array => {
        const m = sharp({ reAttention: { correction: chosen } });
        m.setEffectiveError(error);
        return m.scores(history);
      };
      for (const other of ['off', 'logit', 'paper', 'secondOrder'] as const)
        if (other !== correction) expect(scores(correction)).not.toEqual(scores(other));
      expect(scores('off')).toEqual(sharp({ reAttention: false }).scores(history));
    },
  );

  test('items that are equally noisy leave the first block as it is; in one block nothing changes', () => {
    const m = sharp({ blocks: 1 });
    const plain = m.scores(history);
    m.noiseVariance = { weight: 0, rows: new Float64Array(ITEMS + 1).fill(0.3) };
    m.scores(history).forEach((score, i) => expect(score).toBeCloseTo(plain[i]!, 3));
  });

  test('the loss of a sample does not depend on its neighbours', () => {
    const m = sharp();
    m.setEffectiveError(error);
    const together = losses(m, [0, 1, 2, 3]);
    for (const record of [0, 1, 2, 3]) {
      const alone = losses(m, [record]).get(record)!;
      expect(Math.abs(alone - together.get(record)!)).toBeLessThan(1e-4 * (1 + alone));
    }
  });

  test('what it corrects by can be taken out and given to another model', () => {
    const [m, other] = [sharp(), sharp()];
    m.setEffectiveError(error);
    other.noiseVariance = m.noiseVariance;
    expect(other.scores(history)).toEqual(m.scores(history));
  });

  test('the configuration holds every option decided, and builds the same model', () => {
    const m = sharp({ reAttention: { error: 'scaled', errorScale: 0.1 } });
    expect(m.config.reAttention).toEqual({
      correction: 'logit',
      maxPenalty: 20,
      error: 'scaled',
      errorScale: 0.1,
      errorExponent: 1,
      curvature: 0,
    });
    expect(new SequentialTransformer(m.config).config).toEqual(m.config);
    expect(model().config.reAttention).toBe(false);
  });

  test('frequencies or variances of another vocabulary, and unknown options, are refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
    const m = model({ reAttention: true });
    const short = { provenance: 'public', probability: probability.subarray(1) } as const;
    expect(() => m.setEffectiveError({ ...error, frequencies: short })).toThrow(refused);
    expect(() => (m.noiseVariance = { weight: 0, rows: new Float64Array(3) })).toThrow(refused);
    expect(() => model({ reAttention: { correcton: 'logit' } as never })).toThrow(refused);
    expect(() => model().setEffectiveError(error)).toThrow(refused);
    expect(() => (model().noiseVariance = { weight: 0, rows: new Float64Array(ITEMS + 1) })).toThrow(refused);
  });
});
