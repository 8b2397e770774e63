// GRU and LSTM: LibTorch's values over ragged histories, both directions and several layers, with exact per-sample gradients.

import { fc, test as property } from '@fast-check/jest';
import { GRU, Initializer, LSTM, Segments, withSegments } from '../../../lib/nn';
import { memory, ones, type Tensor, torch, zeros } from '../../../lib/tensor';
import type { Parameters } from '../../csrc/ops/book';
import { Random } from '../../csrc/ops/random';
import { offsets, seed, SEEDED } from '../../csrc/ops/shapes';
import { settledMemory } from '../../fixtures/collect';
import { expectPerSample, normals, own } from './per-sample';
import { apart, numbers, ragged } from './support';

const { aten } = torch.ops;

const shape = fc.record({
  inputs: fc.constantFrom(1, 3, 8),
  hidden: fc.constantFrom(1, 3, 5),
  layers: fc.constantFrom(1, 1, 2, 3),
  bidirectional: fc.boolean(),
  bias: fc.boolean(),
  started: fc.boolean(), // from a given state
});

const places = ({ layers, bidirectional }: { layers: number; bidirectional: boolean }): number =>
  layers * (bidirectional ? 2 : 1);
/** `[places, B, hidden]` as a row a sample. */
const bySample = (state: Tensor): Tensor => state.transpose(0, 1);

/** Sample `b` through LibTorch's own operator; a sample without rows keeps its state. */
function plainPass(
  run: (x: Tensor, states: Tensor[], parameters: Tensor[]) => [Tensor, ...Tensor[]],
  p: Parameters,
  x: Tensor,
  states: Tensor[],
): { rows: Tensor | null; single: Tensor } {
  if (x.shape[0] === 0) return { rows: null, single: aten.cat(states.map(bySample), 2) };
  const [output, ...last] = run(x.unsqueeze(0), states, Object.values(p));
  return { rows: output.squeeze(0), single: aten.cat(last.map(bySample), 2) };
}

property.prop([offsets(9), shape, seed], { ...SEEDED, numRuns: 25 })(
  'GRU is aten::gru on each sample of a ragged batch',
  (at, { inputs, hidden, started, ...options }, start) => {
    const random = new Random(start);
    const module = new GRU(inputs, hidden, { ...options, dtype: 'float64' });
    const [x, h] = [normals(random, at.at(-1)!, inputs), normals(random, places(options), at.length - 1, hidden)];
    const initial = started ? h : h.mul(0);
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => {
          const { output, hidden: last } = started ? module.forward(x, h) : module.forward(x);
          return { rows: output, single: bySample(last) };
        },
        plain: (p, b) =>
          plainPass(
            (rows, [state], all) =>
              aten.gru(rows, state!, all, options.bias, options.layers, 0, false, options.bidirectional, true),
            p,
            own(x, at, b),
            [initial.narrow(1, b, 1).contiguous()],
          ),
      },
      random,
    );
  },
);

property.prop([offsets(9), shape, seed], { ...SEEDED, numRuns: 25 })(
  'LSTM is aten::lstm on each sample of a ragged batch',
  (at, { inputs, hidden, started, ...options }, start) => {
    const random = new Random(start);
    const module = new LSTM(inputs, hidden, { ...options, dtype: 'float64' });
    const state = (): Tensor => normals(random, places(options), at.length - 1, hidden);
    const [x, h, c] = [normals(random, at.at(-1)!, inputs), state(), state()];
    const initial = started ? [h, c] : [h.mul(0), c.mul(0)];
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => {
          const last = started ? module.forward(x, { hidden: h, cell: c }) : module.forward(x);
          return { rows: last.output, single: aten.cat([bySample(last.hidden), bySample(last.cell)], 2) };
        },
        plain: (p, b) =>
          plainPass(
            (rows, states, all) =>
              aten.lstm(rows, states, all, options.bias, options.layers, 0, false, options.bidirectional, true),
            p,
            own(x, at, b),
            initial.map((all) => all.narrow(1, b, 1).contiguous()),
          ),
      },
      random,
    );
  },
);

test.each([GRU, LSTM])('%p: [B, T, inputs] without a scope equals packed rows of equal segments', (Layer) => {
  const layer = new Layer(3, 4, { layers: 2, bidirectional: true, dtype: 'float64', init: new Initializer(1) });
  const x = normals(new Random(2), 3, 5, 3);
  using segments = Segments.equal(3, 5);
  const packed = withSegments(segments, () => layer.forward(x.view([15, 3])));
  const plain = layer.forward(x);
  expect(plain.output.shape).toEqual([3, 5, 8]);
  expect(apart(plain.output.reshape([15, 8]), packed.output)).toBe(0);
  expect(apart(plain.hidden, packed.hidden)).toBe(0);
});

test.each([GRU, LSTM])('%p: a sample’s outputs do not depend on who else is in the batch', (Layer) => {
  const layer = new Layer(3, 4, { dtype: 'float64', init: new Initializer(1) });
  const x = normals(new Random(3), 9, 3);
  const run = (rows: Tensor, lengths: number[]): Tensor => {
    using segments = ragged(lengths);
    return withSegments(segments, () => layer.forward(rows)).output;
  };
  const together = run(x, [2, 0, 4, 3]);
  const alone = run(x.narrow(0, 2, 4), [4]);
  expect(apart(together.narrow(0, 2, 4).contiguous(), alone)).toBeLessThan(1e-15);
});

test('weights are PyTorch’s by name, shape and order of gates', () => {
  const shapes = (layer: GRU | LSTM): Record<string, number[]> =>
    Object.fromEntries(Array.from(layer.namedParameters(), ([name, p]) => [name, p.shape]));
  expect(shapes(new GRU(2, 5, { layers: 2 }))).toEqual({
    weight_ih_l0: [15, 2],
    weight_hh_l0: [15, 5],
    bias_ih_l0: [15],
    bias_hh_l0: [15],
    weight_ih_l1: [15, 5],
    weight_hh_l1: [15, 5],
    bias_ih_l1: [15],
    bias_hh_l1: [15],
  });
  expect(shapes(new LSTM(2, 5, { bidirectional: true, bias: false, layers: 2 }))).toEqual({
    weight_ih_l0: [20, 2],
    weight_hh_l0: [20, 5],
    weight_ih_l0_reverse: [20, 2],
    weight_hh_l0_reverse: [20, 5],
    weight_ih_l1: [20, 10],
    weight_hh_l1: [20, 5],
    weight_ih_l1_reverse: [20, 10],
    weight_hh_l1_reverse: [20, 5],
  });
});

test('dropout stands between layers only: the same record and step give the same outputs, another step others', () => {
  const layer = new GRU(3, 4, { layers: 3, dropout: 0.5, dtype: 'float64', init: new Initializer(4) });
  const sites = layer.modules().flatMap((module) => ('site' in module ? [module.site] : []));
  expect(new Set(sites).size).toBe(2);
  const x = normals(new Random(5), 7, 3);
  const run = (step: number, keys?: number[]): Tensor => {
    using segments = ragged([4, 3], keys === undefined ? { step } : { step, keys });
    return withSegments(segments, () => layer.forward(x)).output;
  };
  expect(apart(run(0, [8, 9]), run(0, [8, 9]))).toBe(0);
  expect(apart(run(0, [8, 9]), run(1, [8, 9]))).toBeGreaterThan(1e-3);
  expect(() => run(0)).toThrow(expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }));
  layer.eval();
  expect(apart(run(0), run(1))).toBe(0);
});

test('a pass leaves its results behind and nothing else', () => {
  const layer = new LSTM(3, 4, { bidirectional: true });
  const x = ones([2, 50, 3]);
  const before = settledMemory().tensors;
  const { output, hidden, cell } = layer.forward(x);
  expect(memory().tensors - before).toBe(3);
  for (const tensor of [output, hidden, cell]) tensor.dispose();
});

test('a first state may be learned: its gradient is that of each sample', () => {
  const layer = new GRU(2, 3, { dtype: 'float64', init: new Initializer(6) });
  const start = zeros([1, 2, 3], { dtype: 'float64', requiresGrad: true });
  const { output } = layer.forward(normals(new Random(1), 2, 4, 2), start);
  output.select(0, 1).sum().backward();
  const gradient = numbers(start.grad!);
  expect(gradient.slice(0, 3)).toEqual([0, 0, 0]);
  expect(gradient.slice(3).every((value) => value !== 0)).toBe(true);
});

test.each<[string, string, () => unknown]>([
  ['a width of another size', 'ERR_INVALID_ARGUMENT', () => new GRU(3, 4).forward(zeros([2, 5, 4]))],
  ['a state of another batch', 'ERR_INVALID_ARGUMENT', () => new GRU(3, 4).forward(zeros([2, 5, 3]), zeros([1, 3, 4]))],
  ['packed rows without a scope', 'ERR_BATCH_DIMENSION', () => new LSTM(3, 4).forward(zeros([5, 3]))],
  ['dropout with nothing between', 'ERR_INVALID_ARGUMENT', () => new GRU(3, 4, { dropout: 0.1 })],
  ['no layers', 'ERR_INVALID_ARGUMENT', () => new GRU(3, 4, { layers: 0 })],
  ['no width', 'ERR_INVALID_ARGUMENT', () => new LSTM(3, 0)],
])('%s is refused with %s', (_what, code, action) => {
  expect(action).toThrow(expect.objectContaining({ code }));
});

test('rows that are not those of the segments are refused', () => {
  using segments = ragged([2, 2]);
  expect(() => withSegments(segments, () => new GRU(3, 4).forward(zeros([5, 3])))).toThrow(
    expect.objectContaining({ code: 'ERR_BATCH_DIMENSION' }),
  );
});
