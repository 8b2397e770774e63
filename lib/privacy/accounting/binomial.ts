// Tails of the binomial distribution, to the last digits and in log form.
//
// Loader 2000, «Fast and accurate computation of binomial probabilities»: the probability as a saddle-point value times
// Stirling errors, which cancels nothing, where log-gamma functions would lose n log n ulps.

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** log n! - log(sqrt(2πn) (n/e)^n). */
function stirlingError(n: number): number {
  if (n < 16) {
    let log = 0;
    for (let k = 2; k <= n; k++) log += Math.log(k);
    return n === 0 ? 0 : log - (n + 0.5) * Math.log(n) + n - Math.log(2 * Math.PI) / 2;
  }
  const n2 = n * n;
  return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / (1188 * n2)) / n2) / n2) / n2) / n;
}

/** x log(x/m) + m - x, without cancellation near x = m. */
function deviance(x: number, m: number): number {
  if (x === 0) return m;
  const v = (x - m) / (x + m);
  if (Math.abs(v) > 0.1) return x * Math.log(x / m) + m - x;
  let sum = (x - m) * v;
  let power = 2 * x * v;
  for (let j = 1; j < 50; j++) {
    power *= v * v;
    const next = sum + power / (2 * j + 1);
    if (next === sum) break;
    sum = next;
  }
  return sum;
}

/** log P[Bin(n, p) = k] for 0 < p < 1. */
export function logBinomial(n: number, p: number, k: number): number {
  if (k === 0) return n * Math.log1p(-p);
  if (k === n) return n * Math.log(p);
  const errors = stirlingError(n) - stirlingError(k) - stirlingError(n - k);
  const deviances = deviance(k, n * p) + deviance(n - k, n * (1 - p));
  return errors - deviances + Math.log(n / (2 * Math.PI * k * (n - k))) / 2;
}

/** log P[Bin(n, p) >= k] for 0 < p < 1, relative error below 1e-12. */
export function binomialTail(n: number, p: number, k: number): number {
  if (k <= 0) return 0;
  if (k > n) return -Infinity;
  const odds = p / (1 - p);
  if (k > n * p) return logBinomial(n, p, k) + Math.log(sumFrom((j) => ((n - j) / (j + 1)) * odds, k, n));
  const below = logBinomial(n, p, k - 1) + Math.log(sumFrom((j) => (k - 1 - j) / ((n - k + 2 + j) * odds), 0, k - 1));
  return Math.log1p(-Math.exp(below));
}

/** 1 + r(from) + r(from) r(from + 1) + …, with falling ratios, until nothing is added. */
function sumFrom(ratio: (j: number) => number, from: number, to: number): number {
  let sum = 1;
  let term = 1;
  for (let j = from; j < to && term > 1e-18 * sum; j++) {
    term *= ratio(j);
    sum += term;
  }
  return sum;
}
