// Special functions of the normal distribution in double precision, in log form where values leave the range of doubles.

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/**
 * Chebyshev coefficients of (1 + 2x) erfcx(x) for x >= 0 in t = (x - 3.75) / (x + 3.75), after Shepherd and
 * Laframboise, Math. Comp. 36 (1981) 249. Computed with 60 digits; the first one left out is 2e-18.
 */
const ERFCX = [
  1.1775789345674017541, -0.0045900545806464773309, -0.084249133366517915584, 0.059209939998191890498,
  -0.026658668435305752277, 0.0090749976707052650939, -0.0024131635404176081909, 0.00049077583652580863229,
  -0.000069169733025012063671, 4.1390279860730101675e-6, 7.7403830661984906686e-7, -2.1886401049234395661e-7,
  1.0764999465670910377e-8, 4.5219598112182868979e-9, -7.7544002088313511065e-10, -6.3180883408866844944e-11,
  2.8687950109306698981e-11, 1.945586854577734723e-13, -9.6546967484334389059e-13, 3.2525481481487398415e-14,
  3.3478119482868053878e-14, -1.8645628804193131015e-15, -1.2507950530688647085e-15, 7.418235256624043463e-17,
  5.0681489047961113168e-17,
];

export const SQRT2 = Math.SQRT2;
export const LOG_SQRT_2PI = 0.918938533204672741780329736406;

/** exp(factor x²) for a power of two as factor, without the rounding error of x², which would grow to x² ulp. */
function expOfSquare(x: number, factor: number): number {
  const head = Math.fround(x); // head * head is exact
  return Math.exp(factor * head * head) * Math.exp(factor * (x - head) * (x + head));
}

/** The scaled complementary error function exp(x²) erfc(x). Relative error below 1e-15; infinite below -26.6. */
export function erfcx(x: number): number {
  if (x < 0) return 2 * expOfSquare(x, 1) - erfcx(-x);
  const t = x === Infinity ? 1 : (x - 3.75) / (x + 3.75);
  let b1 = 0;
  let b2 = 0;
  for (let k = ERFCX.length - 1; k > 0; k--) {
    const b = 2 * t * b1 - b2 + ERFCX[k]!;
    b2 = b1;
    b1 = b;
  }
  return (t * b1 - b2 + ERFCX[0]!) / (1 + 2 * x);
}

/** The complementary error function 1 - erf(x). Relative error below 2e-15 until it underflows near 26.5. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  return x > 27.5 ? 0 : expOfSquare(x, -1) * erfcx(x);
}

/** log Φ(x), the log of the standard normal distribution function; no underflow in the lower tail. */
export function logPhi(x: number): number {
  if (x === -Infinity) return -Infinity;
  if (x > 0) return x > 40 ? 0 : Math.log1p((-erfcx(x / SQRT2) * expOfSquare(x, -0.5)) / 2);
  return Math.log(erfcx(-x / SQRT2) / 2) - (x * x) / 2;
}

/** log(1 - exp(x)) for x <= 0 (Mächler 2012: the branch at -log 2 keeps both ends exact). */
export function log1mexp(x: number): number {
  return x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x));
}

/** log(exp(a) + exp(b)), also for -Infinity. */
export function logAddExp(a: number, b: number): number {
  const high = Math.max(a, b);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(a, b) - high));
}

/** log(exp(x) - 1) for x > 0; no overflow. */
export function logExpm1(x: number): number {
  return x > 40 ? x : x + log1mexp(-x);
}

/**
 * The z with log Φ(z) = logP, for logP < 0: the normal quantile of exp(logP), which may be far below the smallest double.
 * Newton on log Φ, which is concave: from a start on the left of the root every step stays on the left.
 */
export function normalQuantile(logP: number): number {
  if (logP >= 0) return Infinity;
  if (logP > -Math.LN2) return -normalQuantile(log1mexp(logP));
  let z = -Math.sqrt(-2 * logP); // log Φ(z) <= -z²/2, so the root is on the right
  for (let k = 0; k < 60; k++) {
    const value = logPhi(z);
    const slope = Math.exp(-(z * z) / 2 - LOG_SQRT_2PI - value); // φ(z) / Φ(z)
    const step = (logP - value) / slope;
    z += step;
    if (Math.abs(step) <= 1e-15 * (1 + Math.abs(z))) break;
  }
  return z;
}
