// The interval of the PRV accountant over every row of the vectors.

import { computePrv, expectRows } from './prv';

test('every Poisson row lies between the bounds, in both directions', async () => {
  const { poisson } = await computePrv(1);
  expect(expectRows(poisson)).toBeGreaterThanOrEqual(200);
}, 1_200_000);
