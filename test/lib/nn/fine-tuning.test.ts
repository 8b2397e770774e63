// Fine-tuning: transposed layers, low-rank additions and biases alone, with exact per-sample gradients of what is trained.

import { fc, test as property } from '@fast-check/jest';
import {
  biasesOnly,
  Conv1D,
  Embedding,
  GRU,
  Initializer,
  LayerNorm,
  Linear,
  lora,
  LoRALinear,
  Module,
  relu,
  Sequential,
  TransformerBlock,
} from '../../../lib/nn';
import { noGrad, type Tensor, torch } from '../../../lib/tensor';
import { Random } from '../../csrc/ops/random';
import { offsets, seed, SEEDED, width } from '../../csrc/ops/shapes';
import { expectPerSample, normals, own } from './per-sample';
import { apart, numbers } from './support';

const paths = (entries: Iterable<readonly [string, unknown]>): string[] => Array.from(entries, ([path]) => path);
const trained = (model: Module): string[] =>
  paths([...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad));

property.prop([offsets(17), width, fc.constantFrom(1, 5, 8), seed], { ...SEEDED, numRuns: 15 })(
  'Conv1D is x W + b with W [in, out], sample by sample',
  (at, inputs, outputs, start) => {
    const random = new Random(start);
    const module = new Conv1D(inputs, outputs, { dtype: 'float64' });
    expect(module.weight.shape).toEqual([inputs, outputs]);
    const x = normals(random, at.at(-1)!, inputs);
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => ({ rows: module.forward(x) }),
        plain: ({ weight, bias }, b) => ({ rows: own(x, at, b).matmul(weight!).add(bias!) }),
      },
      random,
    );
  },
);

const bases = fc.constantFrom<'Linear' | 'Conv1D'>('Linear', 'Conv1D');

property.prop([offsets(17), width, fc.constantFrom(1, 5), fc.constantFrom(1, 3), bases, seed], {
  ...SEEDED,
  numRuns: 20,
})('a low-rank layer trains A and B alone, sample by sample', (at, inputs, outputs, rank, kind, start) => {
  const random = new Random(start);
  const base = new (kind === 'Linear' ? Linear : Conv1D)(inputs, outputs, { dtype: 'float64' });
  const module = new LoRALinear(base, { rank, alpha: 2.5 });
  const x = normals(random, at.at(-1)!, inputs);
  expect(trained(module)).toEqual(['loraA', 'loraB']);
  expectPerSample(
    {
      module,
      at,
      packed: true,
      ours: () => ({ rows: module.forward(x) }),
      plain: ({ weight, bias, loraA, loraB }, b) => {
        const matrix = kind === 'Linear' ? weight!.t() : weight!;
        const change = loraA!
          .t()
          .matmul(loraB!.t())
          .mul(2.5 / rank);
        return { rows: own(x, at, b).matmul(matrix.add(change)).add(bias!) };
      },
    },
    random,
  );
});

class Tied extends Module {
  readonly first: LoRALinear;
  readonly second: LoRALinear;

  constructor(dim: number) {
    super();
    this.first = new LoRALinear(new Linear(dim, dim, { dtype: 'float64' }), { rank: 2 });
    this.second = new LoRALinear(new Conv1D(dim, dim, { dtype: 'float64' }), { rank: 2, share: this.first });
  }

  forward(x: Tensor): Tensor {
    return this.second.forward(this.first.forward(x).tanh());
  }
}

property.prop([offsets(17), width, seed], { ...SEEDED, numRuns: 15 })(
  'A and B shared by two layers have one exact norm over all four uses',
  (at, dim, start) => {
    const random = new Random(start);
    const module = new Tied(dim);
    const x = normals(random, at.at(-1)!, dim);
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => ({ rows: module.forward(x) }),
        plain: (p, b) => {
          const change = p['first.loraA']!.t().matmul(p['first.loraB']!.t());
          const inner = own(x, at, b).matmul(p['first.weight']!.t().add(change)).add(p['first.bias']!).tanh();
          return { rows: inner.matmul(p['second.weight']!.add(change)).add(p['second.bias']!) };
        },
      },
      random,
    );
  },
);

class Model extends Module {
  readonly embed = new Embedding(10, 4);
  readonly blocks = [1, 2].map((seed) => new TransformerBlock({ dim: 4, init: new Initializer(seed) }));
  readonly heads = new Map([['click', new Conv1D(4, 2)]]);
  readonly extra = { deep: new Sequential(new LayerNorm(4), new Linear(4, 4), relu) };
  readonly again: Linear = this.blocks[0]!.attention.out; // a layer in two places

  forward(x: Tensor): Tensor {
    const rows = this.blocks.reduce((h, block) => block.forward(h), x);
    return this.heads.get('click')!.forward(this.again.forward(this.extra.deep.forward(rows)));
  }
}

test('lora leaves the outputs as they are, and existing paths too; only A and B are trained', () => {
  const model = new Model();
  const before = paths(model.namedParameters());
  const x = normals(new Random(1), 2, 3, 4).to('float32');
  const expected = model.forward(x).detach();
  const added = lora(model, {
    rank: 2,
    alpha: 4,
    targets: ['qkv', 'extra.deep.1', /^heads/, 'blocks.0.attention.out'],
  });
  expect(paths(added).sort()).toEqual([
    'blocks.0.attention.out',
    'blocks.0.attention.qkv',
    'blocks.1.attention.qkv',
    'extra.deep.1',
    'heads.click',
  ]);
  expect(apart(model.forward(x).detach(), expected)).toBe(0);
  const after = paths(model.namedParameters());
  expect(after.filter((path) => !/lora[AB]$/.test(path)).sort()).toEqual(before.sort());
  expect(trained(model)).toEqual(after.filter((path) => /lora[AB]$/.test(path)));
  expect(model.trainableParameters()).toHaveLength(10);
  expect(model.again).toBe(model.blocks[0]!.attention.out); // replaced in both places by one layer
  expect(model.again).toBeInstanceOf(LoRALinear);
});

test('merge gives one matrix that does the same', () => {
  for (const Layer of [Linear, Conv1D]) {
    const layer = new LoRALinear(new Layer(4, 3, { dtype: 'float64' }), { rank: 2, alpha: 3 });
    noGrad(() => layer.loraB.normal_());
    const x = normals(new Random(2), 5, 4);
    const expected = layer.forward(x).detach();
    const merged = layer.merge();
    expect(merged.requiresGrad).toBe(false);
    noGrad(() => layer.base.weight.copy_(merged));
    expect(apart(layer.base.forward(x).detach(), expected)).toBeLessThan(1e-14);
  }
});

test('tied: layers of equal widths train one pair', () => {
  const model = new Sequential(new Linear(4, 4), new Linear(4, 4), new Conv1D(4, 2), new Linear(4, 2));
  const added = [...lora(model, { rank: 1, targets: [/./], tied: true }).values()];
  expect(new Set(added.map(({ loraA }) => loraA)).size).toBe(2);
  expect(added[0]!.loraB).toBe(added[1]!.loraB);
  expect(added[2]!.loraB).toBe(added[3]!.loraB);
  expect(trained(model)).toHaveLength(4);
});

test('what cannot be chosen or replaced is refused, and changes nothing', () => {
  class Frozen extends Module {
    readonly layers = Object.freeze([new Linear(2, 2)]);
    readonly free = new Linear(2, 2);
  }
  const model = new Frozen();
  const refusals = [['nowhere'], [], ['free', 'layers.0']];
  for (const targets of refusals)
    expect(() => lora(model, { rank: 1, targets })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  expect(paths(model.namedModules())).toEqual(['', 'layers.0', 'free']);
  expect(trained(model)).toHaveLength(4);
  const wide = new LoRALinear(new Linear(2, 3), { rank: 1 });
  for (const bad of [{ rank: 0 }, { rank: 1, alpha: 0 }, { rank: 1, share: wide }])
    expect(() => new LoRALinear(new Linear(2, 2), bad)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
});

test('lora twice adapts other layers, and never the base of an adapted one', () => {
  const shared = new Linear(2, 2);
  const adapted = new LoRALinear(shared, { rank: 1 });
  const model = new Sequential(adapted, shared, new Linear(2, 2));
  expect(() => lora(model, { rank: 1, targets: ['0'] })).toThrow('chooses no layer');
  lora(model, { rank: 1, targets: ['1'] });
  expect(adapted.base).toBe(shared);
  expect(model.layers[1]).toBeInstanceOf(LoRALinear);
  expect(model.layers[2]).not.toBeInstanceOf(LoRALinear);
});

test('biasesOnly trains what is called bias, in every layer', () => {
  const model = new Sequential(new Linear(2, 3), new GRU(3, 3) as never, new LayerNorm(3));
  expect(biasesOnly(model)).toEqual(['0.bias', '1.bias_ih_l0', '1.bias_hh_l0', '2.bias']);
  expect(trained(model)).toEqual(['0.bias', '1.bias_ih_l0', '1.bias_hh_l0', '2.bias']);
  const bare = new Linear(2, 2, { bias: false });
  expect(() => biasesOnly(bare)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  expect(bare.weight.requiresGrad).toBe(true);
});

property.prop([offsets(17), width, seed], { ...SEEDED, numRuns: 10 })(
  'biases alone have exact norms while weights are frozen',
  (at, dim, start) => {
    const random = new Random(start);
    const module = new Sequential(
      new Linear(dim, 5, { dtype: 'float64' }),
      relu,
      new Linear(5, 3, { dtype: 'float64' }),
    );
    biasesOnly(module);
    const x = normals(random, at.at(-1)!, dim);
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => ({ rows: module.forward(x) }),
        plain: (p, b) => {
          const inner = torch.ops.aten.linear(own(x, at, b), p['0.weight']!, p['0.bias']).relu();
          return { rows: torch.ops.aten.linear(inner, p['2.weight']!, p['2.bias']) };
        },
      },
      random,
    );
  },
);

test('A starts normal with standard deviation 1/√in, B at zero', () => {
  const layer = new LoRALinear(new Linear(100, 50), { rank: 40, init: new Initializer(1) });
  const values = numbers(layer.loraA);
  const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
  expect(Math.abs(variance * 100 - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
  expect(numbers(layer.loraB).every((x) => x === 0)).toBe(true);
});
