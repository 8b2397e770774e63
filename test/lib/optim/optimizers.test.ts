// SGD, Adam and AdamW follow torch's formulas, alone on `.grad` and over an arena.

import { adam, adamw, type Optimizer, sgd } from '../../../lib/optim';
import { fromTypedArray, memory, noGrad, type Tensor, tensor, tidy } from '../../../lib/tensor';
import { withSource } from '../../csrc/noise_support';

const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
const SHAPES = [[3, 4], [5], [1], [2, 1, 3]];
const COUNT = SHAPES.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b), 0);

type Make = (parameters: Iterable<Tensor>) => Optimizer;
const optimizers: [string, Make][] = [
  ['sgd', (p) => sgd(p, { lr: 0.1 })],
  ['sgd with momentum and decay', (p) => sgd(p, { lr: 0.1, momentum: 0.9, weightDecay: 0.01 })],
  ['sgd with nesterov', (p) => sgd(p, { lr: 0.1, momentum: 0.9, nesterov: true })],
  ['adam', (p) => adam(p, { lr: 0.1 })],
  ['adam with decay', (p) => adam(p, { lr: 0.1, betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.1 })],
  ['adamw', (p) => adamw(p, { lr: 0.1 })],
];

/** The formulas of torch's documentation, one number at a time. */
const formulas: Record<string, (p: number, gradients: number[]) => number> = {
  sgd: (p, gradients) => gradients.reduce((x, g) => x - 0.1 * g, p),
  'sgd with momentum and decay': (p, gradients) => {
    let b = 0;
    for (const g of gradients) p -= 0.1 * (b = 0.9 * b + g + 0.01 * p);
    return p;
  },
  'sgd with nesterov': (p, gradients) => {
    let b = 0;
    for (const g of gradients) p -= 0.1 * (g + 0.9 * (b = 0.9 * b + g));
    return p;
  },
  adam: (p, gradients) => adamFormula(p, gradients, [0.9, 0.999], 1e-8, 0, 0),
  'adam with decay': (p, gradients) => adamFormula(p, gradients, [0.8, 0.95], 1e-6, 0.1, 0),
  adamw: (p, gradients) => adamFormula(p, gradients, [0.9, 0.999], 1e-8, 0, 0.01),
};

function adamFormula(
  p: number,
  gradients: number[],
  beta: [number, number],
  eps: number,
  l2: number,
  decay: number,
): number {
  let [m, v] = [0, 0];
  gradients.forEach((gradient, i) => {
    p *= 1 - 0.1 * decay;
    const g = gradient + l2 * p;
    m = beta[0] * m + (1 - beta[0]) * g;
    v = beta[1] * v + (1 - beta[1]) * g * g;
    p -= (0.1 * (m / (1 - beta[0] ** (i + 1)))) / (Math.sqrt(v / (1 - beta[1] ** (i + 1))) + eps);
  });
  return p;
}

const start = Float64Array.from({ length: COUNT }, (_, i) => Math.sin(i + 1));
const gradientAt = (step: number): Float64Array =>
  Float64Array.from({ length: COUNT }, (_, i) => Math.cos(1.7 * i + step));

function split(flat: Tensor): Tensor[] {
  let offset = 0;
  return SHAPES.map((shape) => {
    const size = shape.reduce((a, b) => a * b);
    offset += size;
    return flat.narrow(0, offset - size, size).view(shape);
  });
}

function alone(make: Make, steps: number, dtype: 'float32' | 'float64', from?: Optimizer): Float64Array {
  return tidy(() => {
    const parameters = split(fromTypedArray(start)).map((p) => p.to(dtype).clone().requiresGrad_());
    const optimizer = from ?? make(parameters);
    for (let step = 1; step <= steps; step++) {
      split(fromTypedArray(gradientAt(step))).forEach((g, i) => ((parameters[i] as Tensor).grad = g.to(dtype)));
      optimizer.step();
    }
    optimizer.dispose();
    return Float64Array.from(parameters.flatMap((p) => Array.from(p.toTypedArray() as Float64Array)));
  });
}

function overArena(make: Make, steps: number, dtype: 'float32' | 'float64'): Float64Array {
  return tidy(() => {
    const parameters = fromTypedArray(start).to(dtype).clone();
    const sum = fromTypedArray(new Float64Array(COUNT));
    const optimizer = make([parameters]);
    for (let step = 1; step <= steps; step++) {
      sum.copy_(fromTypedArray(gradientAt(step).map((g) => g * 32)));
      expect(optimizer.applyPrivate({ parameters, sum }, { noiseSource: 0, noiseStd: 0, grid: 0, divisor: 32 })).toBe(
        0,
      );
    }
    expect(sum.abs().max().item()).toBe(0);
    optimizer.dispose();
    return Float64Array.from(parameters.toTypedArray() as Float64Array);
  });
}

function expectNear(got: Float64Array, wanted: Float64Array, tolerance: number): void {
  const worst = got.reduce((most, x, i) => Math.max(most, Math.abs(x - (wanted[i] as number))), 0);
  expect(worst).toBeLessThan(tolerance);
}

describe.each(optimizers)('%s', (name, make) => {
  const formula = formulas[name] as (p: number, gradients: number[]) => number;
  const gradients = [1, 2, 3, 4, 5].map(gradientAt);
  const wanted = start.map((p, i) =>
    formula(
      p,
      gradients.map((g) => g[i] as number),
    ),
  );

  // A few roundings of numbers below 3 a step; Adam divides by a root, which makes them larger where g is small.
  test.each([
    ['float64', 1e-13],
    ['float32', 2e-5],
  ] as const)("is torch's formula on .grad in %s", (dtype, tolerance) => {
    expectNear(alone(make, 5, dtype), wanted, tolerance);
  });

  test.each([
    ['float64', 1e-13],
    ['float32', 2e-5],
  ] as const)('is the same over an arena without noise in %s', (dtype, tolerance) => {
    expectNear(overArena(make, 5, dtype), wanted, tolerance);
  });

  test('continues from a saved state as if it had not stopped', () => {
    tidy(() => {
      const run = (interrupt: boolean): Float64Array => {
        const parameters = fromTypedArray(start).clone();
        const sum = fromTypedArray(new Float64Array(COUNT));
        let optimizer = make([parameters]);
        for (let step = 1; step <= 4; step++) {
          if (interrupt && step === 3) {
            const resumed = make([parameters]);
            resumed.loadStateDict(optimizer.stateDict());
            optimizer.dispose();
            optimizer = resumed;
          }
          sum.copy_(fromTypedArray(gradientAt(step)));
          optimizer.applyPrivate({ parameters, sum }, { noiseSource: 0, noiseStd: 0, grid: 0, divisor: 1 });
        }
        expect(optimizer.steps).toBe(4);
        optimizer.dispose();
        return parameters.toTypedArray() as Float64Array;
      };
      expect(run(true)).toEqual(run(false));
    });
  });

  test('moves by what was released: noise moves it even where the sum is zero', () => {
    tidy(() => {
      const parameters = fromTypedArray(start).clone();
      const sum = fromTypedArray(new Float64Array(COUNT));
      const optimizer = make([parameters]);
      withSource(undefined, (noiseSource) => {
        expect(optimizer.applyPrivate({ parameters, sum }, { noiseSource, noiseStd: 64, grid: 0.25, divisor: 4 })).toBe(
          0,
        );
      });
      const moved = (parameters.toTypedArray() as Float64Array).filter((x, i) => x !== start[i]);
      // A coordinate stays only if its noise rounds to 0: probability 0.002.
      expect(moved.length).toBeGreaterThan(COUNT - 3);
      optimizer.dispose();
    });
  });

  test('counts the parameters that are not finite after a private step', () => {
    tidy(() => {
      const parameters = fromTypedArray(start).clone();
      const sum = fromTypedArray(gradientAt(1).map((g, i) => (i === 2 ? NaN : g)));
      const optimizer = make([parameters]);
      expect(optimizer.applyPrivate({ parameters, sum }, { noiseSource: 0, noiseStd: 0, grid: 0, divisor: 1 })).toBe(1);
      optimizer.dispose();
    });
  });

  test('leaves no tensors behind but its moments, and frees those', () => {
    tidy(() => {
      const parameters = split(fromTypedArray(start)).map((p) => p.clone().requiresGrad_());
      parameters.forEach((p, i) => (p.grad = split(fromTypedArray(gradientAt(1)))[i] as Tensor));
      const before = memory().tensors;
      const optimizer = make(parameters);
      optimizer.step();
      const moments = Object.keys(optimizer.stateDict().tensors).length;
      for (let step = 0; step < 20; step++) optimizer.step();
      expect(memory().tensors).toBe(before + moments);
      optimizer.dispose();
      expect(memory().tensors).toBe(before);
    });
  });

  test('finds the minimum of a parabola', () => {
    tidy(() => {
      const x = tensor([5, -3], { dtype: 'float64', requiresGrad: true });
      const optimizer = make([x]);
      for (let step = 0; step < 400; step++) {
        optimizer.lr = 0.1 * (1 - step / 400);
        optimizer.zeroGrad();
        tidy(() =>
          x
            .sub(tensor([1, 2], { dtype: 'float64' }))
            .square()
            .sum()
            .backward(),
        );
        optimizer.step();
      }
      optimizer.dispose();
      // Weight decay moves the minimum a little.
      expectNear(x.toTypedArray() as Float64Array, Float64Array.of(1, 2), 0.15);
    });
  });
});

describe('every optimizer', () => {
  test('leaves a parameter without a gradient as it is', () => {
    tidy(() => {
      const [a, b] = [tensor([1, 2], { requiresGrad: true }), tensor([3], { requiresGrad: true })];
      const optimizer = adam([a, b]);
      a.grad = tensor([1, 1]);
      optimizer.step();
      expect(b.item()).toBe(3);
      expect(a.toArray()).not.toEqual([1, 2]);
      optimizer.zeroGrad();
      expect(a.grad).toBeNull();
      optimizer.dispose();
    });
  });

  test('takes another rate at any time, by itself or by its group', () => {
    tidy(() => {
      const x = tensor([1], { dtype: 'float64' });
      const optimizer = sgd([x], { lr: 1 });
      optimizer.lr = 0.5;
      expect(optimizer.paramGroups[0].lr).toBe(0.5);
      optimizer.paramGroups[0].lr = 0.25;
      x.grad = tensor([1], { dtype: 'float64' });
      noGrad(() => optimizer.step());
      expect(x.item()).toBe(0.75);
      expect(() => (optimizer.lr = NaN)).toThrow(refused);
      expect(() => (optimizer.paramGroups[0].lr = -1)).toThrow(refused);
      expect(optimizer.lr).toBe(0.25);
    });
  });

  test('refuses to mix moments over its parameters with moments over an arena', () => {
    tidy(() => {
      const x = tensor([1, 2], { dtype: 'float64', requiresGrad: true });
      const optimizer = adam([x]);
      x.grad = tensor([1, 1], { dtype: 'float64' });
      optimizer.step();
      const arena = { parameters: tensor([1, 2], { dtype: 'float64' }), sum: tensor([0, 0], { dtype: 'float64' }) };
      expect(() => optimizer.applyPrivate(arena, { noiseSource: 0, noiseStd: 0, grid: 0, divisor: 1 })).toThrow(
        refused,
      );
      expect(optimizer.steps).toBe(1);
      optimizer.dispose();
    });
  });

  test('refuses a state of another kind, of another size, or without its moments', () => {
    tidy(() => {
      const x = tensor([1, 2], { dtype: 'float64' });
      const one = adam([x]);
      const arena = { parameters: x, sum: tensor([1, 1], { dtype: 'float64' }) };
      const plain = { noiseSource: 0, noiseStd: 0, grid: 0, divisor: 1 };
      one.applyPrivate(arena, plain);
      const state = one.stateDict();
      expect(() => sgd([x], { lr: 1 }).loadStateDict(state)).toThrow(refused);
      expect(() => adamw([x]).loadStateDict(state)).toThrow(refused);
      expect(() => adam([x]).loadStateDict({ ...state, tensors: {} })).toThrow(refused);
      const other = adam([x]);
      other.loadStateDict(state);
      const larger = {
        parameters: tensor([1, 2, 3], { dtype: 'float64' }),
        sum: tensor([1, 1, 1], { dtype: 'float64' }),
      };
      expect(() => other.applyPrivate(larger, plain)).toThrow(refused);
      one.dispose();
      other.dispose();
    });
  });

  test('refuses no parameters, a parameter twice, mixed types, integers and settings out of range', () => {
    tidy(() => {
      const x = tensor([1]);
      for (const make of [
        () => adam([]),
        () => adam([x, x]),
        () => adam([x, tensor([1], { dtype: 'float64' })]),
        () => adam([tensor([1], { dtype: 'int64' })]),
        () => adam([x], { lr: -1 }),
        () => adam([x], { betas: [1, 0.9] }),
        () => adam([x], { betas: [0.9, -0.1] }),
        () => adam([x], { eps: -1 }),
        () => adamw([x], { weightDecay: NaN }),
        () => sgd([x], { lr: Infinity }),
        () => sgd([x], { lr: 1, momentum: 1 }),
        () => sgd([x], { lr: 1, nesterov: true }),
      ]) {
        expect(make).toThrow(refused);
      }
    });
  });

  test('refuses what is no list of tensors, and options that nothing reads', () => {
    tidy(() => {
      const x = tensor([1]);
      for (const wrong of [x, () => [x], [['weight', x]], undefined]) {
        expect(() => adam(wrong as never)).toThrow(
          expect.objectContaining({ message: expect.stringContaining('iterable of tensors') }),
        );
      }
      for (const make of [
        () => adam([x], { learningRate: 1 } as never),
        () => adamw([x], { weight_decay: 0 } as never),
        () => sgd([x], { lr: 1, beta: 0.9 } as never),
        () => adam([x], { betas: [0.9] as never }),
      ]) {
        expect(make).toThrow(refused);
      }
    });
  });

  test('a refused private step takes no noise and counts no step', () => {
    tidy(() => {
      const x = tensor([1, 2], { dtype: 'float64' });
      for (const optimizer of [adam([x]), sgd([x], { lr: 1 })]) {
        const short = { parameters: x, sum: tensor([1], { dtype: 'float64' }) };
        expect(() => optimizer.applyPrivate(short, { noiseSource: 0, noiseStd: 0, grid: 0, divisor: 1 })).toThrow(
          refused,
        );
        expect(optimizer.steps).toBe(0);
        expect(x.toArray()).toEqual([1, 2]);
        optimizer.dispose();
      }
    });
  });
});
