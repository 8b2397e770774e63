// Laws of the running average of weights: its formula, that looking at it changes nothing, and that it is saved with the rest.

import { adam, type Optimizer, sgd } from '../../../lib/optim';
import { fromTypedArray, type Tensor, tensor, tidy } from '../../../lib/tensor';

const DECAY = 0.75;
const makers: [string, (p: Tensor[], averageDecay?: number) => Optimizer][] = [
  ['adam', (p, averageDecay) => adam(p, { lr: 0.1, ...(averageDecay === undefined ? {} : { averageDecay }) })],
  ['sgd', (p, averageDecay) => sgd(p, { lr: 0.1, ...(averageDecay === undefined ? {} : { averageDecay }) })],
];
const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
const state = expect.objectContaining({ code: 'ERR_ENGINE_STATE' }) as Error;
const read = (p: readonly Tensor[]): number[] =>
  p.flatMap((t) => Array.from(t.detach().to('float64').toTypedArray() as Float64Array));

function parameters(): Tensor[] {
  return [tensor([1, -2, 3]), tensor([[0.5], [4]])].map((t) => t.to('float64').requiresGrad_());
}

function step(optimizer: Optimizer, p: readonly Tensor[], at: number): void {
  p.forEach(
    (one, k) =>
      (one.grad = one
        .detach()
        .mul(0)
        .add(Math.cos(at + k))),
  );
  optimizer.step();
}

describe.each(makers)('%s', (_, make) => {
  test('the average starts at the weights of the first step and follows d a + (1 - d) w', () => {
    tidy(() => {
      const p = parameters();
      const optimizer = make(p, DECAY);
      let wanted: number[] = [];
      for (let at = 1; at <= 6; at++) {
        step(optimizer, p, at);
        const now = read(p);
        wanted = at === 1 ? now : wanted.map((a, i) => DECAY * a + (1 - DECAY) * now[i]!);
        const got = optimizer.withAverage(() => read(p));
        got.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-14));
        expect(read(p)).toEqual(now);
      }
      optimizer.dispose();
    });
  });

  test('an average that is adopted is what the parameters hold from then on', () => {
    tidy(() => {
      const p = parameters();
      const optimizer = make(p, DECAY);
      for (let at = 1; at <= 3; at++) step(optimizer, p, at);
      const average = optimizer.withAverage(() => read(p));
      expect(average).not.toEqual(read(p));
      optimizer.adoptAverage();
      expect(read(p)).toEqual(average);
      optimizer.dispose();
    });
  });

  test('keeping an average changes no step, and an evaluation that fails puts the weights back', () => {
    tidy(() => {
      const [p, q] = [parameters(), parameters()];
      const [with_, without] = [make(p, DECAY), make(q)];
      for (let at = 1; at <= 4; at++) {
        step(with_, p, at);
        step(without, q, at);
        const before = read(p);
        expect(() =>
          with_.withAverage(() => {
            throw new Error('no');
          }),
        ).toThrow('no');
        expect(read(p)).toEqual(before);
      }
      expect(read(p)).toEqual(read(q));
      [with_, without].forEach((o) => o.dispose());
    });
  });

  test('a saved state goes on with its average; one without is refused', () => {
    tidy(() => {
      const [p, q] = [parameters(), parameters()];
      const [whole, first] = [make(p, DECAY), make(q, DECAY)];
      for (let at = 1; at <= 2; at++) {
        step(whole, p, at);
        step(first, q, at);
      }
      const resumed = make(q, DECAY);
      resumed.loadStateDict(first.stateDict());
      expect(() =>
        make(q, DECAY).loadStateDict({ ...first.stateDict(), tensors: make(q).stateDict().tensors }),
      ).toThrow(invalid);
      for (let at = 3; at <= 4; at++) {
        step(whole, p, at);
        step(resumed, q, at);
      }
      expect(resumed.withAverage(() => read(q))).toEqual(whole.withAverage(() => read(p)));
      [whole, first, resumed].forEach((o) => o.dispose());
    });
  });

  test('over an arena in another order every parameter gets its own part', () => {
    tidy(() => {
      const flat = fromTypedArray(Float64Array.of(1, 2, 3, 4, 5));
      const [a, b] = [flat.narrow(0, 0, 2), flat.narrow(0, 2, 3)].map((t) => t.detach().requiresGrad_()) as [
        Tensor,
        Tensor,
      ];
      const optimizer = make([b, a], DECAY);
      optimizer.followArena([a, b]);
      const sum = fromTypedArray(Float64Array.of(1, 2, 3, 4, 5));
      optimizer.applyPrivate({ parameters: flat, sum }, { noiseSource: 0, noiseStd: 0, grid: 0, divisor: 1 });
      // After one step the average is the weights.
      expect(optimizer.withAverage(() => [read([a]), read([b])])).toEqual([read([a]), read([b])]);
      optimizer.dispose();
    });
  });
});

test('a decay outside [0, 1), and an average that nobody keeps, are refused', () => {
  tidy(() => {
    for (const [, make] of makers) {
      for (const decay of [-0.1, 1, NaN]) expect(() => make(parameters(), decay)).toThrow(invalid);
      expect(() => make(parameters()).withAverage(() => 1)).toThrow(state);
      expect(() => make(parameters(), DECAY).withAverage(() => 1)).toThrow(state);
      expect(() => make(parameters()).adoptAverage()).toThrow(state);
      expect(() => make(parameters(), DECAY).adoptAverage()).toThrow(state);
    }
  });
});

test.each(makers)('%s: loading the state that it has changes nothing', (_, make) => {
  tidy(() => {
    const p = parameters();
    const [optimizer, twin] = [make(p, DECAY), parameters()];
    const other = make(twin, DECAY);
    for (let at = 0; at < 3; at++) {
      step(optimizer, p, at);
      step(other, twin, at);
      optimizer.loadStateDict(optimizer.stateDict());
    }
    expect(read(p)).toEqual(read(twin));
    expect(optimizer.withAverage(() => read(p))).toEqual(other.withAverage(() => read(twin)));
    [optimizer, other].forEach((one) => one.dispose());
  });
});
