// What the private update refuses: nothing is changed then, and no noise is used up.

import { tidy, zeros } from '../../lib/tensor';
import { normals, release, source } from './noise_support';
import { bits, state, type State, update } from './private_update_support';

const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });

describe('the private update refuses', () => {
  const cases: [string, (s: State, id: number) => unknown][] = [
    ['a grid coarser than 2^-8 of the noise', (s, id) => update(s, id, { noiseStd: 1, grid: 2 ** -7 })],
    ['a grid that is no power of two', (s, id) => update(s, id, { noiseStd: 1, grid: 0.003 })],
    ['a grid as fine as the normals', (s, id) => update(s, id, { noiseStd: 1, grid: 2 ** -30 })],
    ['noise without a grid', (s, id) => update(s, id, { noiseStd: 1, grid: 0 })],
    ['noise without a source', (s) => update(s, 0, { noiseStd: 1 })],
    ['a source that was never made', (s) => update(s, 2 ** 50, { noiseStd: 1 })],
    ['negative noise', (s, id) => update(s, id, { noiseStd: -1 })],
    ['noise that is no number', (s, id) => update(s, id, { noiseStd: NaN })],
    ['a divisor of zero', (s, id) => update(s, id, { noiseStd: 1, divisor: 0 })],
    ['an infinite divisor', (s, id) => update(s, id, { noiseStd: 1, divisor: Infinity })],
    ['a negative rate', (s, id) => update(s, id, { noiseStd: 1, lr: -1 })],
    ['a beta of 1', (s, id) => update(s, id, { noiseStd: 1, beta2: 1 })],
    ['a negative decay', (s, id) => update(s, id, { noiseStd: 1, weightDecay: -1 })],
    ['step 0', (s, id) => update(s, id, { noiseStd: 1, step: 0 })],
    ['a float32 sum', (s, id) => update({ ...s, sum: s.sum.to('float32') }, id, { noiseStd: 1 })],
    ['moments of another type', (s, id) => update({ ...s, m: s.m.to('float32') }, id, { noiseStd: 1 })],
    ['moments of another length', (s, id) => update({ ...s, v: s.v.narrow(0, 0, 99) }, id, { noiseStd: 1 })],
    ['one tensor for both moments', (s, id) => update({ ...s, v: s.m }, id, { noiseStd: 1 })],
    [
      'a strided arena',
      (s, id) => update({ ...s, p: zeros([200], { dtype: 'float64' }).slice(0, 0, 200, 2) }, id, { noiseStd: 1 }),
    ],
    ['integers', (s, id) => update({ ...s, p: s.p.to('int64') }, id, { noiseStd: 1 })],
  ];
  test.each(cases)('%s, and changes nothing', (_, attempt) => {
    tidy(() => {
      const s = state(100, 'float64');
      const before = bits(s);
      const [a, b] = [source(2), source(2)];
      expect(() => attempt(s, a)).toThrow(refused);
      expect(bits(s)).toBe(before);
      expect(normals(a, 5)).toEqual(normals(b, 5));
      [a, b].forEach(release);
    });
  });
});
