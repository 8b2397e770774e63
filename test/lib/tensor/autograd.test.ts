// Gradients flow through every operator, until someone asks them not to.

import { enableGrad, isGradEnabled, noGrad, type Tensor, tensor, torch } from '../../../lib/tensor';
import { runChild } from '../../fixtures/child';

// A function, because the compiler believes that `grad` still is what was assigned to it last.
function gradientOf(x: Tensor): unknown {
  return x.grad?.toArray();
}

test('the gradient of x² is 2x', () => {
  const x = tensor([-3, 0, 0.5, 7], { requiresGrad: true });
  x.pow(2).sum().backward();
  expect(gradientOf(x)).toEqual([-6, 0, 1, 14]);
});

test('the gradient of sin agrees with finite differences in float64', () => {
  const points = [-2, -0.3, 0.7, 3];
  const x = tensor(points, { dtype: 'float64', requiresGrad: true });
  x.sin().mul(x).sum().backward();
  const h = 1e-6;
  const f = (v: number): number => Math.sin(v) * v;
  const gradient = gradientOf(x) as number[];
  points.forEach((v, i) => expect(gradient[i]).toBeCloseTo((f(v + h) - f(v - h)) / (2 * h), 8));
});

test('backward adds to grad, grad = null drops it, and a tensor may be given as grad', () => {
  const x = tensor([2], { requiresGrad: true });
  x.mul(3).sum().backward();
  x.mul(3).sum().backward();
  expect(gradientOf(x)).toEqual([6]);
  x.grad = null;
  expect(x.grad).toBeNull();
  x.grad = tensor([10]);
  x.mul(3).sum().backward();
  expect(gradientOf(x)).toEqual([13]);
  expect(() => (x.grad = tensor([1, 2]))).toThrow('shape');
});

test('backward takes the gradient of a tensor with several elements, and needs one', () => {
  const x = tensor([1, 2], { requiresGrad: true });
  const y = x.mul(x);
  y.backward(tensor([1, 10]), { retainGraph: true });
  expect(gradientOf(x)).toEqual([2, 40]);
  expect(() => y.backward()).toThrow('scalar');
});

test('a graph is used once unless it is retained', () => {
  const x = tensor([1], { requiresGrad: true });
  const y = x.exp().sum();
  y.backward(null, { retainGraph: true });
  y.backward();
  expect(() => y.backward()).toThrow('second time');
});

test('createGraph gives gradients of gradients', () => {
  const x = tensor([3], { requiresGrad: true });
  x.pow(3).sum().backward(null, { createGraph: true });
  const first = x.grad!;
  x.grad = null;
  first.sum().backward();
  expect(gradientOf(x)).toEqual([18]);
});

test('leaves, detached tensors and requiresGrad say what they are', () => {
  const x = tensor([1]).requiresGrad_();
  expect(x.requiresGrad).toBe(true);
  expect(x.isLeaf).toBe(true);
  expect(x.add(1).isLeaf).toBe(false);
  expect(x.add(1).detach().requiresGrad).toBe(false);
  x.requiresGrad = false;
  expect(x.add(1).requiresGrad).toBe(false);
});

test('noGrad records nothing, nests, and ends also when its body throws', () => {
  const x = tensor([1], { requiresGrad: true });
  expect(noGrad(() => x.mul(2).requiresGrad)).toBe(false);
  expect(noGrad(() => enableGrad(() => x.mul(2).requiresGrad))).toBe(true);
  expect(() =>
    noGrad(() => {
      throw new Error('inside');
    }),
  ).toThrow('inside');
  expect(isGradEnabled()).toBe(true);
  expect(x.mul(2).requiresGrad).toBe(true);
});

test('noGrad refuses a function that returns a promise, because the mode would end at its first await', () => {
  expect(() => noGrad(() => Promise.resolve(1))).toThrow('promise');
  expect(() => noGrad(() => Promise.reject(new Error('lost')))).toThrow('promise');
  expect(isGradEnabled()).toBe(true);
});

test('gradient mode belongs to a thread, and tensors cross threads without a copy', async () => {
  const { stdout, stderr } = await runChild('tensor/share.cjs');
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({
    workerGradEnabled: true,
    mainGradEnabled: false,
    seen: [10, 20, 30],
    sum: 60,
    again: 'ERR_INVALID_ARGUMENT',
  });
});

test('equal seeds give equal random tensors, from the global generator and from one’s own', () => {
  const draw = (seed: number): number[] => {
    torch.manualSeed(seed);
    return torch.randn([8]).toArray() as number[];
  };
  expect(draw(3)).toEqual(draw(3));
  expect(draw(3)).not.toEqual(draw(4));
  const own = (seed: number): number[] =>
    torch
      .empty([8])
      .normal_(0, 1, { generator: new torch.Generator(seed) })
      .toArray() as number[];
  const before = draw(3);
  expect(own(5)).toEqual(own(5));
  torch.manualSeed(3);
  own(6);
  expect(torch.randn([8]).toArray()).toEqual(before);
});
