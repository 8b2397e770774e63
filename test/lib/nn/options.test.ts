// Options of layers and losses: what nothing would read is refused by name, as engines, samplers and optimizers do.

import * as nn from '../../../lib/nn';
import { ones, type Tensor, tensor, zeros } from '../../../lib/tensor';

type Open = Readonly<Record<string, unknown>>;

const ids = (...values: number[]): Tensor => tensor(values, { dtype: 'int64' });
const rows = (): Tensor => ones([2, 4]);
const exact = { mean: ones([1, 2, 4]), variance: null };

/** Everything of `nn` that takes options, with options that it needs and one that it knows. */
const DOORS: readonly (readonly [string, Open, (options: never) => unknown])[] = [
  ['Linear', { bias: false }, (options) => new nn.Linear(3, 4, options)],
  ['Conv1D', { bias: false }, (options) => new nn.Conv1D(3, 4, options)],
  ['Embedding', { scale: 2 }, (options) => new nn.Embedding(3, 4, options)],
  ['LayerNorm', { eps: 1e-6 }, (options) => new nn.LayerNorm(4, options)],
  ['RMSNorm', { eps: 1e-6 }, (options) => new nn.RMSNorm(4, options)],
  ['GroupNorm', { affine: false }, (options) => new nn.GroupNorm(2, 4, options)],
  ['Dropout', { dtype: 'float64' }, (options) => new nn.Dropout(0.1, options)],
  ['SelfAttention', { heads: 2, bias: false }, (options) => new nn.SelfAttention(4, options)],
  ['TransformerBlock', { dim: 4, norm: 'pre' }, (options) => new nn.TransformerBlock(options)],
  ['Conv1d', { stride: 2 }, (options) => new nn.Conv1d(3, 4, 3, options)],
  ['Conv2d', { stride: 2 }, (options) => new nn.Conv2d(3, 4, 3, options)],
  ['GRU', { layers: 2 }, (options) => new nn.GRU(3, 4, options)],
  ['LSTM', { layers: 2 }, (options) => new nn.LSTM(3, 4, options)],
  ['SoftmaxHead', { bias: true }, (options) => new nn.SoftmaxHead(3, 4, options)],
  ['LoRALinear', { rank: 1, alpha: 2 }, (options) => new nn.LoRALinear(new nn.Linear(3, 4), options)],
  ['lora', { rank: 1, targets: ['0'] }, (options) => nn.lora(new nn.Sequential(new nn.Linear(3, 4)), options)],
  ['Parameter', { requiresGrad: false }, (options) => new nn.Parameter(zeros([2]), options)],
  ['Segments.equal', { step: 1 }, (options) => nn.Segments.equal(2, 1, options)],
  ['affine', { axis: -1 }, (options) => nn.affine(rows(), ones([4]), null, options)],
  ['crossEntropy', { ignoreIndex: 1 }, (options) => nn.crossEntropy(rows(), ids(0, 1), options)],
  ['meanSquaredError', { reduction: 'sum' }, (options) => nn.meanSquaredError(rows(), rows(), options)],
  ['binaryCrossEntropy', { reduction: 'sum' }, (options) => nn.binaryCrossEntropy(rows(), rows(), options)],
  [
    'softmaxCrossEntropy',
    { mean: true },
    (options) => nn.softmaxCrossEntropy(rows(), ones([3, 4]), ids(0, 1), options),
  ],
  ['SoftmaxHead.loss', { scale: 2 }, (options) => new nn.SoftmaxHead(4, 3).loss(rows(), ids(0, 1), options)],
  ['sampledCrossEntropy', { reduction: 'sum' }, (options) => sampled(nn.sampledCrossEntropy, options)],
  ['sampledBinaryCrossEntropy', { bias: ones([3]) }, (options) => sampled(nn.sampledBinaryCrossEntropy, options)],
  [
    'SelfAttention.forwardNoisy',
    { propagate: false },
    (options) => new nn.SelfAttention(4).forwardNoisy(exact, nn.NO_NOISE, options),
  ],
  [
    'TransformerBlock.forwardNoisy',
    { propagate: false },
    (options) => new nn.TransformerBlock({ dim: 4 }).forwardNoisy(exact, nn.NO_NOISE, options),
  ],
];

const sampled = (loss: typeof nn.sampledCrossEntropy, options: nn.SampledLossOptions): Tensor =>
  loss(rows(), ones([3, 4]), ids(0, 1), tensor([[2], [0]], { dtype: 'int64' }), options);

test.each(DOORS)('%s takes the options that it knows, and refuses a misspelt one by name', (name, known, make) => {
  expect(() => make(known as never)).not.toThrow();
  expect(() => make({ ...known, baias: false } as never)).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(`${name}: there is no option baias; known are `),
    }),
  );
});

test.each(DOORS)('%s refuses what is no options at all', (name, _, make) => {
  for (const nonsense of [null, 4, 'bias', true]) {
    expect(() => make(nonsense as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining(`${name}: options must be an object, got `),
      }),
    );
  }
});

test('the bias of a head is its own: a loss that is given another one refuses it', () => {
  const head = new nn.SoftmaxHead(4, 3, { bias: true });
  const options = { bias: ones([3]) } as never;
  expect(() => head.loss(rows(), ids(0, 1), options)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
});

test('every function of nn whose last parameter is options stands in the list above', () => {
  const listed = new Set(DOORS.map(([name]) => name.split('.')[0]));
  const withOptions = Object.entries(nn).filter(
    ([, value]) => typeof value === 'function' && /\b(options|choices)( = \{\})?\)\s*\{/.test(String(value)),
  );
  expect(withOptions.length).toBeGreaterThan(15);
  expect(withOptions.map(([name]) => name).filter((name) => !listed.has(name))).toEqual(['resolveReAttention']);
});
