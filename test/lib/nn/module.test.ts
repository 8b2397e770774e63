// Modules list their parameters by path, once each, and switch between training and evaluation as one.

import {
  Dropout,
  Embedding,
  gelu,
  Initializer,
  LayerNorm,
  Linear,
  Module,
  Parameter,
  perSample,
  seedLayers,
  Sequential,
  SoftmaxHead,
  TransformerBlock,
} from '../../../lib/nn';
import { noGrad, ones, type Tensor, tensor, tidy, torch } from '../../../lib/tensor';
import { settledMemory } from '../../fixtures/collect';
import { numbers } from './support';

class Scorer extends Module {
  embed = new Embedding(50, 8);
  mlp = new Sequential(new Linear(8, 16), gelu, new Linear(16, 8));
  temperature = new Parameter(ones([1]));

  forward(ids: Tensor): Tensor {
    return this.mlp.forward(this.embed.forward(ids).mean([1])).mul(perSample(this.temperature, ids.shape[0] as number));
  }
}

const paths = (module: Module): string[] => Array.from(module.namedParameters(), ([path]) => path);

test('parameters are listed by dotted path in the order of assignment', () => {
  expect(paths(new Scorer())).toEqual([
    'temperature',
    'embed.weight',
    'mlp.0.weight',
    'mlp.0.bias',
    'mlp.2.weight',
    'mlp.2.bias',
  ]);
});

test('arrays, maps and plain objects in properties are opened, other objects are not', () => {
  class Nested extends Module {
    blocks = [new LayerNorm(2), new LayerNorm(2, { bias: false })];
    heads = new Map([['click', new Linear(2, 1, { bias: false })]]);
    extra = { deep: { scale: new Parameter(ones([1])) } };
    frozen = new Parameter(ones([1]), { requiresGrad: false });
    plain = ones([1]);
    other = new Date();
  }
  const nested = new Nested();
  expect(paths(nested)).toEqual([
    'extra.deep.scale',
    'frozen',
    'blocks.0.weight',
    'blocks.0.bias',
    'blocks.1.weight',
    'heads.click.weight',
  ]);
  expect(nested.frozen.requiresGrad).toBe(false);
});

test('a shared parameter and a shared module are listed once, under their first path', () => {
  class Tied extends Module {
    input = new Linear(3, 3, { bias: false });
    output = this.input;
    alias = this.input.weight;
  }
  const tied = new Tied();
  expect(paths(tied)).toEqual(['alias']);
  expect(tied.parameters()).toEqual([tied.input.weight]);
  expect(Array.from(tied.namedModules(), ([path]) => path)).toEqual(['', 'input']);
});

test('train and eval reach every module inside', () => {
  const block = new TransformerBlock({ dim: 4, dropout: 0.5 });
  expect(block.modules().every((module) => module.training)).toBe(true);
  expect(block.eval()).toBe(block);
  expect(block.modules().some((module) => module.training)).toBe(false);
  block.train();
  expect(block.ffnDrop.training).toBe(true);
});

test('a parameter shares the memory of its data, survives the scope it was made in, and is freed by dispose', () => {
  const before = settledMemory().tensors;
  const data = ones([2]);
  const parameter = tidy(() => {
    const made = new Parameter(data);
    return { hidden: () => made };
  }).hidden();
  expect(parameter.disposed).toBe(false);
  expect(parameter).toBeInstanceOf(torch.Tensor);
  noGrad(() => parameter.add_(1));
  expect(numbers(data)).toEqual([2, 2]);
  data.dispose();
  expect(numbers(parameter)).toEqual([2, 2]);
  expect(parameter.requiresGrad && parameter.isLeaf).toBe(true);
  parameter.dispose();
  expect(settledMemory().tensors).toBeLessThanOrEqual(before);
});

test('a module that is disposed leaves no tensor behind', () => {
  const before = settledMemory().tensors;
  new Scorer().dispose();
  expect(settledMemory().tensors).toBeLessThanOrEqual(before);
});

test('equal seeds give equal models, whatever else draws random numbers', () => {
  const build = (seed: number): number[] => {
    const init = new Initializer(seed);
    const block = new TransformerBlock({ dim: 4, heads: 2, init });
    torch.randn([3]);
    const head = new SoftmaxHead(4, 9, { init });
    return [...block.parameters(), ...head.parameters()].flatMap(numbers);
  };
  expect(build(7)).toEqual(build(7));
  expect(build(7)).not.toEqual(build(8));
  const shared = (): number[] => {
    seedLayers(3);
    return new Scorer().parameters().flatMap(numbers);
  };
  expect(shared()).toEqual(shared());
  const [first, second] = [new Linear(3, 3), new Linear(3, 3)];
  expect(numbers(first.weight)).not.toEqual(numbers(second.weight));
});

test('initial weights have the asked standard deviation and mean 0', () => {
  const values = numbers(new Initializer(1).normal([400, 100], 0.02));
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const std = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
  // Five standard errors: std/√n and std/√(2n).
  expect(Math.abs(mean)).toBeLessThan((5 * 0.02) / Math.sqrt(values.length));
  expect(Math.abs(std - 0.02)).toBeLessThan((5 * 0.02) / Math.sqrt(2 * values.length));
});

test('dropout sites of one model are all different', () => {
  const init = new Initializer(0);
  const blocks = [1, 2, 3].map(() => new TransformerBlock({ dim: 2, dropout: 0.1, init }));
  const sites = blocks.flatMap((block) => [block.attention.site, block.attentionDrop.site, block.ffnDrop.site]);
  expect(new Set(sites).size).toBe(sites.length);
});

test('perSample gives every sample a copy, and the copies’ gradients are summed', () => {
  const parameter = new Parameter(tensor([2, 3], { dtype: 'float64' }));
  const copies = perSample(parameter, 3);
  expect(copies.toArray()).toEqual([
    [2, 3],
    [2, 3],
    [2, 3],
  ]);
  copies
    .mul(tensor([[1], [10], [100]], { dtype: 'float64' }))
    .sum()
    .backward();
  expect(parameter.grad?.toArray()).toEqual([111, 111]);
});

test('the scorer of the guide runs forward and backward', () => {
  const scorer = new Scorer();
  const out = scorer.forward(
    tensor(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      { dtype: 'int64' },
    ),
  );
  expect(out.shape).toEqual([2, 8]);
  out.sum().backward();
  for (const [path, parameter] of scorer.namedParameters()) {
    expect({ path, gradient: parameter.grad?.shape }).toEqual({ path, gradient: parameter.shape });
  }
});

test.each<() => Module | Initializer>([
  () => new Linear(0, 1),
  () => new Linear(1, 1.5),
  () => new Embedding(3, 2, { paddingId: 3 }),
  () => new LayerNorm(2, { eps: 0 }),
  () => new Dropout(1),
  () => new Dropout(-0.1),
  () => new TransformerBlock({ dim: 3, heads: 2 }),
  () => new TransformerBlock({ dim: 2, activation: 'swish' as never }),
  () => new TransformerBlock({ dim: 2, norm: 'none' as never }),
  () => new Initializer(-1),
])('a layer of impossible size is refused: %p', (make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
