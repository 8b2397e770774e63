// The whole mechanism from outside: what hundreds of steps of an engine did to the parameters, against what the plan says.

import { Linear, Module } from '../../../lib/nn';
import { sgd } from '../../../lib/optim';
import { abadi, poisson, PrivacyEngine, type PrivacyEngineOptions } from '../../../lib/privacy';
import { noGrad, ones, type Tensor, tidy } from '../../../lib/tensor';

const [SIGMA, C, B] = [1.7, 0.3, 8];
const NOISE = SIGMA * C;
const GRID = 2 ** Math.floor(Math.log2(NOISE / 256));

interface Side {
  readonly samples: number;
  readonly completesStep: boolean;
}

/** Two matrices and their biases, of 512 entries or more; every sample's loss is constant, so that only noise moves them. */
class Still extends Module {
  readonly first = new Linear(8, 512, { dtype: 'float64' });
  readonly second = new Linear(4, 640, { dtype: 'float64' });

  constructor() {
    super();
    noGrad(() => this.parameters().forEach((parameter) => parameter.zero_()));
  }

  loss({ samples }: Side): Tensor {
    const input = (width: number): Tensor => ones([samples, width], { dtype: 'float64' });
    const first = this.first.forward(input(8)).sum(1);
    return first.add(this.second.forward(input(4)).sum(1)).mul(0);
  }
}

function trained(
  steps: number,
  options: Partial<PrivacyEngineOptions>,
  see: (ids: Int32Array, moved: Map<string, Float64Array>) => void,
): void {
  const model = new Still();
  const records = 64;
  const engine = new PrivacyEngine(model, {
    records,
    steps,
    noiseMultiplier: SIGMA,
    sampler: poisson({ batchSize: B }),
    clip: abadi({ maxGradNorm: C }),
    attributionCheck: false,
    ...options,
  });
  const optimizer = engine.attach(sgd(model.parameters(), { lr: 1 }));
  let drawn = new Int32Array();
  const data = {
    length: records,
    pack: (ids: Int32Array): Side[] => {
      drawn = ids.slice();
      return [{ samples: ids.length, completesStep: true }];
    },
  };
  for (const batch of engine.batches(data)) {
    tidy(() => optimizer.step({ loss: model.loss(batch) }));
    // Parameters are sums of multiples of grid / B from 0, exact in float64; with lr 1 they moved by what was released.
    const moved = [...model.namedParameters()].map(
      ([name, p]) => [name, tidy(() => p.detach().toTypedArray() as Float64Array).map((x) => -x * B)] as const,
    );
    see(drawn, new Map(moved));
    noGrad(() => model.parameters().forEach((parameter) => parameter.zero_()));
  }
  engine.close();
  model.dispose();
}

test('260 steps: noise of σC to 1 % on every parameter, of mean zero, on multiples of the grid; batches are Poisson samples', () => {
  const steps = 260;
  const sums = new Map<string, { n: number; sum: number; square: number; off: number }>();
  const sizes = new Float64Array(65);
  const times = new Float64Array(64);
  trained(steps, { insecureSeed: 4 }, (ids, moved) => {
    sizes[ids.length]! += 1;
    for (const id of ids) times[id]! += 1;
    for (const [name, values] of moved) {
      const s = sums.get(name) ?? { n: 0, sum: 0, square: 0, off: 0 };
      for (let i = 0; i < values.length; i++) {
        const x = values[i]!;
        s.sum += x;
        s.square += x * x;
        if (!Number.isInteger(x / GRID)) s.off += 1;
      }
      s.n += values.length;
      sums.set(name, s);
    }
  });
  expect([...sums.keys()]).toEqual(['first.weight', 'first.bias', 'second.weight', 'second.bias']);
  for (const { n, sum, square, off } of sums.values()) {
    expect(off).toBe(0);
    // 512 entries in 260 steps: 1 % is five standard errors.
    expect(Math.abs(Math.sqrt(square / n) / NOISE - 1)).toBeLessThan(0.01);
    expect(Math.abs(sum / n)).toBeLessThan((5 * NOISE) / Math.sqrt(n));
  }
  // Every record with rate q = 1/8, and batch sizes as Bin(64, 1/8).
  const q = B / 64;
  const inclusion = times.reduce((sum, count) => sum + (count - steps * q) ** 2 / (steps * q * (1 - q)), 0);
  expect(Math.abs(inclusion - 64)).toBeLessThan(5 * Math.sqrt(2 * 64));
  let [p, statistic, freedom, rest, restExpected] = [(1 - q) ** 64, 0, 0, 0, 0];
  for (let k = 0; k <= 64; k++) {
    const expected = steps * p;
    if (expected >= 10) {
      statistic += (sizes[k]! - expected) ** 2 / expected;
      freedom += 1;
    } else {
      rest += sizes[k]!;
      restExpected += expected;
    }
    p *= ((64 - k) / (k + 1)) * (q / (1 - q));
  }
  statistic += (rest - restExpected) ** 2 / restExpected;
  expect(freedom).toBeGreaterThan(6);
  expect(Math.abs(statistic - freedom)).toBeLessThan(5 * Math.sqrt(2 * freedom) + 5);
});

test('two runs differ in noise and in batches, unless they have the same insecureSeed', () => {
  const run = (insecureSeed?: number): string => {
    const seen: unknown[] = [];
    trained(3, insecureSeed === undefined ? {} : { insecureSeed }, (ids, moved) =>
      seen.push([...ids], [...(moved.get('first.bias') as Float64Array)]),
    );
    return JSON.stringify(seen);
  };
  expect(run(1)).toBe(run(1));
  expect(run(1)).not.toBe(run(2));
  expect(run()).not.toBe(run());
});
