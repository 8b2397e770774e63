// How an operator of one's own says what its parameter's per-sample gradient is.

import * as check from '../check';
import { raise } from '../errors';
import { type Tensor, torch } from '../tensor';

/** The factor that does not come from the backward pass; g_t is the gradient at output row t. */
export type DeclaredUse =
  /** Rows r_t, `[N, d]`: a parameter `[p, d]` gets Σ_t g_t r_tᵀ. */
  | { readonly right: Tensor; readonly left?: never; readonly ids?: never; readonly scale?: never }
  /** Rows l_t, `[N, d]`: a parameter `[d, p]` gets Σ_t l_t g_tᵀ. */
  | { readonly left: Tensor; readonly right?: never; readonly ids?: never; readonly scale?: never }
  /** int64 `[N]`: row ids_t of a table `[M, p]` gets scale · g_t, summed over t. Default scale 1. */
  | { readonly ids: Tensor; readonly scale?: number; readonly left?: never; readonly right?: never };

/**
 * The same values as `output`, whose backward pass declares the use of `parameter` by each sample. Compute `output` from the
 * detached parameter: what reaches it by another road is refused (ERR_NO_GRADIENT_RULE). Several uses of one parameter, of this and
 * of any other layer, add up exactly.
 *
 * Norm and clipped sum are those of what is declared. Privacy therefore does not hang on the declaration being the derivative of
 * your operator; only the direction of training does. What it does hang on: a row must be computed from its own sample alone.
 *
 * @param output `[..., p]`, N rows of the surrounding segments; without a scope its first dimension counts samples.
 * @param use Taken as constants: what they were computed from gets no gradient by this road.
 * @throws ERR_INVALID_ARGUMENT, ERR_BATCH_DIMENSION
 *
 * @example // A tied autoencoder y = x U Uᵀ: U [d, k] is used twice.
 * const U = this.basis.detach();
 * const code = declareUse(x.matmul(U), this.basis, { left: x });
 * return declareUse(code.matmul(U.t()), this.basis, { right: code });
 */
export function declareUse(output: Tensor, parameter: Tensor, use: DeclaredUse): Tensor {
  check.able('declareUse', { output }, 'detach', 'a tensor');
  check.able('declareUse', { parameter }, 'detach', 'a tensor');
  check.onlyKnown('declareUse', use, ['left', 'right', 'ids', 'scale']);
  const given = (['left', 'right', 'ids'] as const).filter((name) => use[name] !== undefined);
  if (given.length !== 1) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `declareUse: give one of left, right and ids, got ${given.length === 0 ? 'none' : given.join(' and ')}.`,
    );
  }
  if (use.scale !== undefined && use.ids === undefined)
    raise('ERR_INVALID_ARGUMENT', 'declareUse: scale goes with ids; scale the rows of left and right yourself.');
  const { left = null, right = null, ids = null, scale = 1 } = use;
  return torch.ops.phantomgrad.declare_use(output, parameter, {
    left: left?.detach() ?? null,
    right: right?.detach() ?? null,
    ids,
    scale,
  });
}
