// Scales, steps and the corrected second moment of the private update: the twin's bits, the formulas, and what is refused.

import { tidy, torch } from '../../lib/tensor';
import { release, source, withSource } from './noise_support';
import { array, bits, contents, profile, type Settings, state, update, values, vector } from './private_update_support';

const ops = torch.ops.phantomgrad;

/** Runs of odd lengths over `count` parameters, so that tiles of 160 begin inside and between them. */
function oddRuns(count: number): NonNullable<Settings['runs']> {
  const runs: { end: number; scale: number; step: number }[] = [];
  for (let end = 0, k = 1; end < count; k++) {
    end = Math.min(count, end + 1 + ((k * 37) % 211));
    runs.push({ end, scale: [1, 0.2, 3, 0.5][k % 4]!, step: [1, 0.25, 0, 1.7, 1][k % 5]! });
  }
  return runs;
}

describe.each(['float32', 'float64'] as const)('private_adam_ on %s', (dtype) => {
  test.each([1, 160, 161, 1000, 20_011])('equals its twin bit for bit over runs of %i parameters', (count) => {
    tidy(() => {
      for (const settings of [
        { noiseStd: 1.3 },
        { noiseStd: 1.3, weightDecay: 0.1, decoupled: true },
        { noiseStd: 2.9, weightDecay: 0.1, momentFloor: 1e-3 },
        {},
      ]) {
        const [fast, plain] = [state(count, dtype), state(count, dtype)];
        const [a, b] = [source(7), source(7)];
        for (let step = 1; step <= 3; step++) {
          [fast, plain].forEach(({ sum }) => sum.copy_(vector(values(count, 3, step))));
          const own = { ...settings, step, runs: oddRuns(count) };
          expect(update(fast, a, own)).toBe(0);
          expect(update(plain, b, own, true)).toBe(0);
        }
        expect(bits(fast)).toEqual(bits(plain));
        [a, b].forEach(release);
      }
    });
  });

  test('scales and steps of 1 change no bit', () => {
    tidy(() => {
      const runs = [100, 1, 899].map((length, k, all) => ({
        end: all.slice(0, k + 1).reduce((sum, n) => sum + n, 0),
        scale: 1,
        step: 1,
      }));
      for (const settings of [{ noiseStd: 1.3 }, { noiseStd: 1.3, weightDecay: 0.1, decoupled: true }]) {
        const [plain, ones] = [state(1000, dtype), state(1000, dtype)];
        withSource(3, (id) => update(plain, id, settings));
        withSource(3, (id) => update(ones, id, { ...settings, runs }));
        expect(bits(ones)).toBe(bits(plain));
      }
    });
  });

  test('a step of 0 leaves parameters as they are, and their moments go on', () => {
    tidy(() => {
      const [s, before] = [state(500, dtype), state(500, dtype)];
      const settings = { noiseStd: 1, weightDecay: 0.1, decoupled: true };
      withSource(3, (id) => update(s, id, { ...settings, runs: [{ end: 500, scale: 1, step: 0 }] }));
      expect(array(s.p)).toEqual(array(before.p));
      expect(array(s.m)).not.toEqual(array(before.m));
    });
  });
});

test('privatise_ divides what it releases by the scale: the same noise, on the same grid', () => {
  tidy(() => {
    const runs = oddRuns(2000);
    const sum = values(2000, 4, 9);
    const { run_ends, scales } = profile(runs) as { run_ends: never; scales: never };
    const plain = withSource(5, (id) => array(ops.privatise_(vector(sum), id, 1.5, 2 ** -8, 16)));
    const scaled = withSource(5, (id) =>
      array(ops.privatise_(vector(sum), id, 1.5, 2 ** -8, 16, { run_ends, scales })),
    );
    let run = 0;
    scaled.forEach((value, i) => {
      if (runs[run]!.end === i) run += 1;
      // Division by 16 is exact; the other one rounds once.
      expect(value).toBe((plain[i]! * 16) / (16 * runs[run]!.scale));
    });
  });
});

test('the corrected second moment is max(v / (1 - β2^t) - (noise / (divisor scale))², floor)', () => {
  tidy(() => {
    const [noiseStd, divisor, floor, lr, eps] = [1.5, 16, 2e-3, 1e-2, 1e-8];
    const runs = [
      { end: 700, scale: 0.5, step: 1 },
      { end: 1000, scale: 2, step: 3 },
    ];
    const s = state(1000, 'float64');
    const [p] = contents(s) as [Float64Array];
    withSource(4, (id) => update(s, id, { noiseStd, divisor, lr, eps, momentFloor: floor, step: 2, runs }));
    const [after, m, v] = contents(s) as [Float64Array, Float64Array, Float64Array];
    let floored = 0;
    after.forEach((value, i) => {
      const { scale, step } = runs[i < 700 ? 0 : 1]!;
      const left = v[i]! / (1 - 0.999 ** 2) - (noiseStd / (divisor * scale)) ** 2;
      if (left < floor) floored += 1;
      const expected = p[i]! - (step * ((lr / (1 - 0.9 ** 2)) * m[i]!)) / (Math.sqrt(Math.max(left, floor)) + eps);
      expect(Math.abs(value - expected)).toBeLessThan(1e-9 * (1 + Math.abs(expected)));
    });
    // Both branches were taken.
    expect(floored).toBeGreaterThan(0);
    expect(floored).toBeLessThan(1000);
  });
});

describe('refused before anything has changed:', () => {
  const run = { end: 10, scale: 1, step: 1 };
  test.each<[string, Settings]>([
    ['runs that do not reach the end', { runs: [{ ...run, end: 9 }] }],
    ['runs that reach beyond it', { runs: [{ ...run, end: 11 }] }],
    ['ends that do not rise', { runs: [run, run] }],
    ['a run of nothing', { runs: [{ ...run, end: 0 }, run] }],
    ['a scale of 0', { runs: [{ ...run, scale: 0 }] }],
    ['a scale that is NaN', { runs: [{ ...run, scale: NaN }] }],
    ['a step below 0', { runs: [{ ...run, step: -1 }] }],
    ['a step that is infinite', { runs: [{ ...run, step: Infinity }] }],
    ['a floor below 0', { momentFloor: -1 }],
    ['a floor that is NaN', { momentFloor: NaN }],
  ])('%s', (_, settings) => {
    tidy(() => {
      const s = state(10, 'float64');
      const before = bits(s);
      for (const twin of [false, true])
        expect(() => update(s, 0, settings, twin)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
      expect(bits(s)).toBe(before);
    });
  });

  test('scales without runs', () => {
    tidy(() => {
      const scales = vector(Float64Array.of(1));
      expect(() => ops.privatise_(vector(values(3, 1, 1)), 0, 0, 0, 1, { scales })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      );
    });
  });
});
