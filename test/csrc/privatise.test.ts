// What is released of a sum: noise of the right size on every coordinate, on the public grid, over the public divisor.

import { tidy, torch } from '../../lib/tensor';
import { normals, withSource } from './noise_support';
import { array, values, vector } from './private_update_support';

const ops = torch.ops.phantomgrad;

describe('privatise_', () => {
  const std = 3.7;
  const grid = 2 ** -7; // 3.7 / 256 = 0.01445…: the largest power of two below it is 2^-7

  test.each([1, 2 ** -6, 2 ** -12])('releases exact multiples of the grid times %d', (finer) => {
    tidy(() => {
      const sum = values(5000, 20, 1);
      const out = withSource(1, (id) => array(ops.privatise_(vector(sum), id, std, grid * finer, 1)));
      expect(out.filter((x) => !Number.isInteger(x / (grid * finer)))).toHaveLength(0);
      // Some of them need the last bit: the grid is not coarser than asked.
      expect(out.some((x) => (x / (grid * finer)) % 2 !== 0)).toBe(true);
    });
  });

  test("is the sum plus the standard deviation times the source's normals, rounded to the nearest multiple, over the divisor", () => {
    tidy(() => {
      const sum = values(5000, 20, 1);
      const out = withSource(3, (id) => array(ops.privatise_(vector(sum), id, std, grid, 48)));
      const noise = withSource(3, (id) => normals(id, 5000));
      const wanted = sum.map((x, i) => x + std * noise[i]!);
      expect(out).toEqual(wanted.map((x) => (grid * Math.round(x / grid)) / 48));
    });
  });

  test('adds noise of the standard deviation that was asked for, and of mean zero, whatever the sum is', () => {
    tidy(() => {
      const count = 1_000_000;
      const sum = values(count, 1000, 9);
      const out = withSource(6, (id) => array(ops.privatise_(vector(sum), id, std, grid, 1)));
      let [mean, square] = [0, 0];
      out.forEach((x, i) => {
        mean += (x - sum[i]!) / count;
        square += (x - sum[i]!) ** 2 / count;
      });
      // Six standard deviations (false alarm 4e-9; the seed is fixed).
      expect(Math.abs(mean)).toBeLessThan((6 * std) / Math.sqrt(count));
      expect(Math.abs(square / (std ** 2 + grid ** 2 / 12) - 1)).toBeLessThan(6 * Math.sqrt(2 / count));
    });
  });

  test('gives every coordinate its noise when the sum is zero: an empty batch is a noise-only step', () => {
    tidy(() => {
      const out = withSource(8, (id) => array(ops.privatise_(vector(new Float64Array(1600)), id, std, grid, 1)));
      // |noise| below half a grid step has probability 0.0008: 1,600 honest coordinates hold 1.3 zeros.
      expect(out.filter((x) => x === 0).length).toBeLessThan(10);
    });
  });

  test('without noise is the plain mean, on no grid', () => {
    tidy(() => {
      const sum = values(1000, 20, 1);
      expect(array(ops.privatise_(vector(sum), 0, 0, 0, 3))).toEqual(sum.map((x) => x / 3));
    });
  });

  test('releases another value each time, and leaves the sum at zero', () => {
    tidy(() => {
      const sum = vector(values(500, 20, 1));
      withSource(undefined, (id) => {
        const first = array(ops.privatise_(sum, id, std, grid, 1));
        expect(array(sum)).toEqual(new Float64Array(500));
        sum.copy_(vector(values(500, 20, 1)));
        expect(array(ops.privatise_(sum, id, std, grid, 1))).not.toEqual(first);
      });
    });
  });
});
