// Normalisations and plain scales: LibTorch's values, and the per-sample gradients of scale and shift.

import { fc, test as property } from '@fast-check/jest';
import { affine, GroupNorm, Module, Parameter, RMSNorm } from '../../../lib/nn';
import { ones, type Tensor, tensor, torch, zeros } from '../../../lib/tensor';
import { Random } from '../../csrc/ops/random';
import { offsets, seed, SEEDED, width } from '../../csrc/ops/shapes';
import { expectPerSample, normals, oneEach, own } from './per-sample';

const { aten } = torch.ops;

property.prop([offsets(17), width, fc.constantFrom(undefined, 0.1), seed], { ...SEEDED, numRuns: 15 })(
  'RMSNorm is aten::rms_norm, sample by sample',
  (at, dim, eps, start) => {
    const random = new Random(start);
    const module = new RMSNorm(dim, { dtype: 'float64', ...(eps === undefined ? {} : { eps }) });
    const x = normals(random, at.at(-1)!, dim);
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => ({ rows: module.forward(x) }),
        plain: ({ weight }, b) => ({ rows: aten.rms_norm(own(x, at, b), [dim], weight, eps ?? null) }),
      },
      random,
    );
  },
);

const groups = fc.constantFrom([1, 1], [1, 6], [2, 6], [3, 6], [6, 6]);
const places = fc.constantFrom([], [1], [5], [3, 2]);

property.prop([fc.integer({ min: 0, max: 4 }), groups, places, seed], { ...SEEDED, numRuns: 25 })(
  'GroupNorm is aten::group_norm, sample by sample, over any number of places',
  (samples, [count, channels], inner, start) => {
    const random = new Random(start);
    const module = new GroupNorm(count, channels, { dtype: 'float64', eps: 0.1 });
    const x = normals(random, samples, channels, ...inner);
    const at = oneEach(samples);
    expectPerSample(
      {
        module,
        at,
        packed: start % 2 === 0,
        ours: () => ({ rows: module.forward(x) }),
        plain: ({ weight, bias }, b) => ({ rows: aten.group_norm(own(x, at, b), count, weight, bias, 0.1) }),
      },
      random,
    );
  },
);

test('GroupNorm without affine has no parameters and normalises', () => {
  const module = new GroupNorm(2, 4, { affine: false, dtype: 'float64' });
  expect(module.parameters()).toEqual([]);
  const x = normals(new Random(1), 3, 4, 5);
  expect(module.forward(x).toArray()).toEqual(aten.group_norm(x, 2, null, null, 1e-5).toArray());
});

class Scales extends Module {
  readonly features: Parameter;
  readonly shift: Parameter;
  readonly channels = new Parameter(ones([3], { dtype: 'float64' }));
  readonly scalar = new Parameter(ones([], { dtype: 'float64' }));

  constructor(dim: number) {
    super();
    this.features = new Parameter(ones([dim], { dtype: 'float64' }));
    this.shift = new Parameter(zeros([dim], { dtype: 'float64' }));
  }

  forward(x: Tensor): Tensor {
    const rows = affine(x.tanh(), this.features, this.shift);
    const images = rows.unsqueeze(1).expand([-1, 3, -1]);
    return affine(affine(affine(images, this.channels, null, { axis: 1 }).sum([1]), this.scalar), null, this.shift);
  }
}

property.prop([offsets(9), width, seed], { ...SEEDED, numRuns: 15 })(
  'affine scales features, channels and everything by parameters of their own, also by one twice',
  (at, dim, start) => {
    const random = new Random(start);
    const module = new Scales(dim);
    const x = normals(random, at.at(-1)!, dim);
    expectPerSample(
      {
        module,
        at,
        packed: true,
        ours: () => ({ rows: module.forward(x) }),
        plain: ({ features, shift, channels, scalar }, b) => ({
          rows: own(x, at, b).tanh().mul(features!).add(shift!).mul(channels!.sum()).mul(scalar!).add(shift!),
        }),
      },
      random,
    );
  },
);

property.prop([fc.integer({ min: 0, max: 4 }), fc.constantFrom([1], [2, 3], [2, 3, 2]), seed], {
  ...SEEDED,
  numRuns: 15,
})('a learned scalar scales samples of any shape, without a scope', (samples, shape, start) => {
  const random = new Random(start);
  class Scale extends Module {
    readonly temperature = new Parameter(ones([], { dtype: 'float64' }));
  }
  const module = new Scale();
  const x = normals(random, samples, ...shape);
  const at = oneEach(samples);
  expectPerSample(
    {
      module,
      at,
      packed: false,
      ours: () => ({ rows: affine(x, module.temperature) }),
      plain: ({ temperature }, b) => ({ rows: own(x, at, b).mul(temperature!) }),
    },
    random,
  );
});

test('parameters have PyTorch’s names, shapes and first values', () => {
  expect(Array.from(new RMSNorm(3).namedParameters(), ([name, p]) => [name, p.toArray()])).toEqual([
    ['weight', [1, 1, 1]],
  ]);
  expect(Array.from(new GroupNorm(1, 2).namedParameters(), ([name, p]) => [name, p.toArray()])).toEqual([
    ['weight', [1, 1]],
    ['bias', [0, 0]],
  ]);
  expect(new RMSNorm(3).eps).toBe(2 ** -23);
});

test.each([() => new GroupNorm(2, 3), () => new GroupNorm(0, 3), () => new RMSNorm(2, { eps: 0 })])(
  'impossible sizes are refused: %p',
  (make) => expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' })),
);

test('a scale of another shape, and no parameter at all, are refused', () => {
  const x = ones([2, 3]);
  for (const bad of [() => affine(x, tensor([1, 2])), () => affine(x, null)])
    expect(bad).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
