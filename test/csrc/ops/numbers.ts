// Comparisons whose failure says where and by how much.

export function norm(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]!));
  if (most === 0 || !Number.isFinite(most)) return most;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! / most) ** 2;
  return most * Math.sqrt(sum);
}

/** |got - want| ≤ absolute + relative |want| for every entry. */
export function expectClose(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { absolute = 0, relative = 0, what = 'entry' } = {},
): void {
  if (got.length !== want.length) throw new Error(`${what}: expected ${want.length} numbers, got ${got.length}`);
  for (let i = 0; i < want.length; i++) {
    const error = Math.abs(got[i]! - want[i]!);
    if (!(error <= absolute + relative * Math.abs(want[i]!))) {
      throw new Error(
        `${what} ${i}: expected ${want[i]}, got ${got[i]} (off by ${error}, allowed ${absolute} + ${relative} |expected|)`,
      );
    }
  }
}

/** ‖got - want‖ ≤ tolerance · scale. */
export function expectNear(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  tolerance: number,
  { scale = norm(want), what = 'vector' } = {},
): void {
  if (got.length !== want.length) throw new Error(`${what}: expected ${want.length} numbers, got ${got.length}`);
  const error = norm(Float64Array.from({ length: want.length }, (_, i) => got[i]! - want[i]!));
  if (!(error <= tolerance * scale)) throw new Error(`${what}: off by ${error}, allowed ${tolerance} of ${scale}`);
}

/** bound is at least the exact norm and at most `above` (default 1 %) larger. */
export function expectCertified(
  bound: ArrayLike<number>,
  exact: ArrayLike<number>,
  { above = 0.01, floor = 1e-290 } = {},
): void {
  for (let b = 0; b < exact.length; b++) {
    if (!(bound[b]! >= exact[b]!))
      throw new Error(`sample ${b}: bound ${bound[b]} is below the exact norm ${exact[b]}`);
    if (!(bound[b]! <= (1 + above) * exact[b]! + floor))
      throw new Error(`sample ${b}: bound ${bound[b]} is loose: the exact norm is ${exact[b]}`);
  }
}

/** Σ_b factors[b] · gradients[b], from per-sample gradients of `size` numbers each. */
export function weightedSum(factors: readonly number[], gradients: Float64Array, size: number): Float64Array {
  const sum = new Float64Array(size);
  for (let b = 0; b < factors.length; b++) {
    for (let i = 0; i < size; i++) sum[i]! += factors[b]! * gradients[b * size + i]!;
  }
  return sum;
}
