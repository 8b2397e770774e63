// The largest whole number that still fits a budget, in few evaluations: secants of the logarithm inside a bracket.

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/**
 * The largest n in [1, most] with margin(n) >= 0, for a margin that falls; 0 when 1 does not fit. The n returned was itself evaluated;
 * n + 1 was found not to fit, or n is within `relative` of a number that does not.
 */
export function largestFitting(margin: (n: number) => number, most: number, relative = 1e-4): number {
  const first = margin(1);
  if (!(first >= 0)) return 0;
  let low = { n: 1, value: first };
  let high: { readonly n: number; readonly value: number } | undefined;
  let guess = Math.min(most, 64);
  for (let k = 0; k < 200 && low.n < most; k++) {
    if (high && (high.n - low.n <= 1 || high.n - low.n <= relative * low.n)) break;
    const n = Math.min(guess, most);
    const point = { n, value: margin(n) };
    if (point.value >= 0) low = point;
    else high = point;
    if (!high) {
      guess = low.n * 8;
      continue;
    }
    const [from, to] = [Math.log(low.n), Math.log(high.n)];
    const share = k % 3 === 2 ? 0.5 : low.value / (low.value - Math.max(high.value, -1e3));
    // A little to one side in turn, so that both ends close in.
    const at = from + (to - from) * Math.min(0.98, Math.max(0.02, share + (k % 2 === 0 ? 0.01 : -0.01)));
    guess = Math.min(high.n - 1, Math.max(low.n + 1, Math.round(Math.exp(at))));
  }
  return low.n;
}
