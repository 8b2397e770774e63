// All layers together inside an engine: samples stay apart, every parameter has a use, and losses are traced to their batch.

import { type Batch, SequenceDataset } from '../../../lib/data';
import {
  affine,
  Conv1d,
  Embedding,
  GroupNorm,
  GRU,
  Linear,
  lora,
  LSTM,
  Module,
  Parameter,
  RMSNorm,
  sampledCrossEntropy,
  Segments,
  withSegments,
} from '../../../lib/nn';
import { adam } from '../../../lib/optim';
import { abadi, poisson, PrivacyEngine } from '../../../lib/privacy';
import { fromTypedArray, ones, type Tensor, tidy } from '../../../lib/tensor';
import { ints } from '../../csrc/ops/book';
import { numbers } from './support';

const [RECORDS, ITEMS, DIM] = [40, 12, 6];

/** Histories without padding through every kind of layer, scored against one negative each with the table that embeds them. */
class Everything extends Module {
  readonly items = new Embedding(ITEMS + 1, DIM);
  readonly norm = new RMSNorm(DIM);
  readonly gru = new GRU(DIM, DIM, { layers: 2, dropout: 0.2 });
  readonly lstm = new LSTM(DIM, DIM / 2, { bidirectional: true });
  readonly channels = new GroupNorm(1, 2);
  readonly filter = new Conv1d(2, 1, 3, { padding: 1 });
  readonly head = new Linear(DIM, DIM);
  readonly temperature = new Parameter(ones([]));

  loss(batch: Batch & { readonly step?: number }): Tensor {
    using segments = Segments.of(batch);
    return withSegments(segments, () => {
      const x = this.norm.forward(this.items.forward(fromTypedArray(batch.ids)));
      const both = [this.gru.forward(x).output, this.lstm.forward(x).output] as const;
      const pair = both[0].unsqueeze(1).expand([-1, 2, -1]).add(both[1].unsqueeze(1));
      const mixed = this.filter.forward(this.channels.forward(pair)).squeeze(1);
      const hidden = affine(this.head.forward(mixed), this.temperature);
      const negatives = ints(Array.from(batch.targets, (id) => (Number(id) % ITEMS) + 1)).view([-1, 1]);
      return sampledCrossEntropy(hidden, this.items.weight, fromTypedArray(batch.targets), negatives);
    });
  }
}

const histories = SequenceDataset.from(
  Array.from({ length: RECORDS }, (_, user) =>
    Array.from({ length: 1 + (user % 7) }, (__, k) => 1 + ((user + k) % ITEMS)),
  ),
  ITEMS,
);

function setUp(model: Everything) {
  const engine = new PrivacyEngine(model, {
    records: RECORDS,
    steps: 3,
    noiseMultiplier: 1,
    sampler: poisson({ batchSize: 12 }),
    clip: abadi({ maxGradNorm: 1 }),
    insecureSeed: 5,
  });
  const optimizer = engine.attach(adam(model.trainableParameters(), { lr: 0.01 }));
  return { engine, optimizer };
}

test('a model of all layers passes the checks of the first step and trains every parameter', () => {
  const model = new Everything();
  const before = [...model.namedParameters()].map(([path, p]) => [path, String(numbers(p))]);
  const { engine, optimizer } = setUp(model);
  for (const batch of engine.batches(histories)) tidy(() => optimizer.step({ loss: model.loss(batch) }));
  expect(engine.steps).toBe(3);
  engine.detach();
  const after = new Map([...model.namedParameters()].map(([path, p]) => [path, String(numbers(p))]));
  for (const [path, values] of before) expect([path, after.get(path!)]).not.toEqual([path, values]);
});

test('low-rank additions train, and frozen parameters keep every bit', () => {
  const model = new Everything();
  const { loraA, loraB } = lora(model, { rank: 2, targets: ['head'] }).get('head')!;
  const frozen = model.parameters().filter(({ requiresGrad }) => !requiresGrad);
  const values = (parameters: readonly Parameter[]): number[][] => parameters.map(numbers);
  const [before, start] = [values(frozen), values([loraA, loraB])];
  const { engine, optimizer } = setUp(model);
  for (const batch of engine.batches(histories)) tidy(() => optimizer.step({ loss: model.loss(batch) }));
  engine.detach();
  expect(values(frozen)).toEqual(before);
  values([loraA, loraB]).forEach((after, i) => expect(after).not.toEqual(start[i]));
});

test('the steps of a recurrence belong to the batch that was drawn', () => {
  const model = new Everything();
  const { engine, optimizer } = setUp(model);
  const batch = engine.batches(histories).next().value!;
  expect(() => optimizer.step({ loss: model.loss({ ...batch }) })).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_NOT_SAMPLED' }),
  );
  optimizer.step({ loss: model.loss(batch) });
  expect(engine.steps).toBe(1);
});
