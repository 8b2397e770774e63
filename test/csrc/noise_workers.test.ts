// A stream of noise is used once, also when threads draw from one source at the same time.

import { runChild } from '../fixtures/child';

test('four Workers that share a source, and have one each, never draw the same value', async () => {
  const { code, stdout, stderr } = await runChild('noise-workers.cjs');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  // 4 · 40 · 100 from the shared source and as many from their own, and 40 · 100 of the main thread: an honest coincidence has
  // probability below 1e-6.
  expect(JSON.parse(stdout)).toEqual({ values: 36_000, distinct: 36_000 });
});
