// The low-level door: per-sample norms, clipped sums and private updates of factors that the caller holds, without an engine.

import * as check from './check';
import { raise } from './errors';
import type { Correction } from './nn/noisy';
import { Segments } from './nn/segments';
import { publicGrid } from './optim/release';
import type { ArenaProfile, Optimizer, PrivateArena, PrivateRelease } from './optim';
import { NoiseSource } from './privacy/noise-source';
import { fromTypedArray, noGrad, Tensor, tensor, tidy, torch, zeros } from './tensor';

export { NoiseSource };

const ops = torch.ops.phantomgrad;

/** Which rows belong to which sample: segments, or `[B + 1]` offsets that start at 0 and never fall. */
export type Rows = Segments | readonly number[] | BigInt64Array;

export interface RowOptions {
  /** Left out: the first dimension is the number of samples, `[B, …]`, each with equally many rows. */
  readonly segments?: Rows;
}

/** Norms of per-sample gradients, in gradient units. */
export interface CertifiedNorms {
  /** `[B]`, float64: the best estimate. Not finite for a sample whose rows are not. */
  readonly norm: Tensor;
  /** `[B]`, float64: at least the exact norm of the given factors; what clip factors are computed from. */
  readonly bound: Tensor;
}

/** `[B]` clip factors. One that is not finite counts as 0; the rows of a sample with factor 0 are never read. */
export type Factors = Tensor | ArrayLike<number>;

function cuSeqlens(operation: string, first: Tensor, segments: Rows | undefined): Tensor {
  if (segments instanceof Segments) return segments.cuSeqlens;
  if (segments !== undefined) check.row(operation, { segments });
  if (segments !== undefined) return fromTypedArray(BigInt64Array.from(segments, BigInt));
  check.able(operation, { rows: first }, 'detach', 'a tensor');
  const [samples = 0, ...rest] = first.shape;
  if (rest.length === 0)
    raise('ERR_BATCH_DIMENSION', `${operation}: without segments the rows must be [B, …], got [${samples}].`);
  const rows = rest.slice(0, -1).reduce((x, y) => x * y, 1);
  return fromTypedArray(BigInt64Array.from({ length: samples + 1 }, (_, b) => BigInt(b * rows)));
}

function asTensor(operation: string, factors: Factors): Tensor {
  if (Tensor.isTensor(factors)) return factors;
  check.row(operation, { factors });
  return tensor(Float64Array.from(factors), { dtype: 'float64' });
}

/** Adds a float64 sum to `out`, or gives it as it is. */
function deliver(operation: string, sum: Tensor, out: Tensor | undefined): Tensor {
  if (out === undefined) return sum;
  if (String(out.shape) !== String(sum.shape)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `${operation}: out must have shape [${sum.shape.join(', ')}], got [${out.shape.join(', ')}].`,
    );
  }
  return noGrad(() => out.add_(sum.to(out.dtype)));
}

/**
 * The norm of each sample's gradient of a linear weight, Σ_t g_t a_tᵀ, without forming it where Gram matrices are cheaper.
 *
 * @param activations  a: the layer's input rows `[N, d]` (or `[B, T, d]` without segments), float32 or float64; bfloat16 and
 *   float16 are widened to float32, so that a Gram matrix is never rounded to 8 bits.
 * @param gradients  g: gradients of the *per-sample* losses at its output rows, `[N, p]`; never of their mean.
 * @param options.bias  Whether the norm is that of weight and bias together. Default false.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 * @see Li et al. 2022 (arXiv 2110.05679), section 4; docs/how-it-works.md for the certificate.
 * @example const { bound } = kernels.ghostNorm(x, g, { segments: [0, 5, 9], bias: true })
 */
export function ghostNorm(
  activations: Tensor,
  gradients: Tensor,
  options: RowOptions & { readonly bias?: boolean } = {},
): CertifiedNorms {
  check.onlyKnown('ghostNorm', options, ['segments', 'bias']);
  return tidy(() => {
    const [norm, bound] = ops.ghost_norm(
      activations,
      gradients,
      cuSeqlens('ghostNorm', activations, options.segments),
      options.bias ?? false,
    );
    return { norm, bound };
  });
}

/**
 * Σ_b factors[b] Σ_t g_t a_tᵀ, summed in float64.
 *
 * @param options.out  `[p, d]`: the sum is added to it. Left out: a new float64 tensor.
 * @param options.biasOut  `[p]`: Σ_b factors[b] Σ_t g_t is added to it.
 * @returns `out`, or the new tensor.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 * @example kernels.clippedSum(x, g, privacy.abadi({ maxGradNorm: 1 }).factors(bound.toTypedArray()), { segments, out: grad })
 */
export function clippedSum(
  activations: Tensor,
  gradients: Tensor,
  factors: Factors,
  options: RowOptions & { readonly out?: Tensor; readonly biasOut?: Tensor } = {},
): Tensor {
  check.onlyKnown('clippedSum', options, ['segments', 'out', 'biasOut']);
  return tidy(() => {
    const at = cuSeqlens('clippedSum', activations, options.segments);
    const [sum, biasSum] = ops.clipped_sum(
      activations,
      gradients,
      asTensor('clippedSum', factors),
      at,
      options.biasOut !== undefined,
    );
    if (options.biasOut !== undefined) deliver('clippedSum', biasSum, options.biasOut);
    return deliver('clippedSum', sum, options.out);
  });
}

export interface EmbeddingOptions extends RowOptions {
  /** Rows of the table. */
  readonly vocabulary: number;
  /** α of x = α E[id]. Default 1. */
  readonly scale?: number;
  /** An id whose rows give no gradient. */
  readonly paddingId?: number;
}

const TABLE = ['segments', 'vocabulary', 'scale', 'paddingId'] as const satisfies readonly (keyof EmbeddingOptions)[];

/**
 * The norm of each sample's gradient of an embedding table: rows with equal ids are summed first.
 *
 * @param ids  `[N]` integers.  @param gradients  u: gradients at the rows that were looked up, `[N, d]`.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 * @see Kong & Muñoz Medina, NeurIPS 2023, for summing by id.
 */
export function embeddingNorm(ids: Tensor, gradients: Tensor, options: EmbeddingOptions): CertifiedNorms {
  check.onlyKnown('embeddingNorm', options, TABLE);
  const { vocabulary, scale = 1, paddingId = -1 } = options;
  return tidy(() => {
    const at = cuSeqlens('embeddingNorm', gradients, options.segments);
    const [norm, bound] = ops.embedding_norm(ids, gradients, at, vocabulary, scale, paddingId);
    return { norm, bound };
  });
}

/** Σ_b factors[b] times sample b's gradient of an embedding table, `[vocabulary, d]`, summed in float64. @throws as {@link embeddingNorm} */
export function embeddingSum(
  ids: Tensor,
  gradients: Tensor,
  factors: Factors,
  options: EmbeddingOptions & { readonly out?: Tensor },
): Tensor {
  check.onlyKnown('embeddingSum', options, [...TABLE, 'out']);
  const { vocabulary, scale = 1, paddingId = -1 } = options;
  return tidy(() => {
    const at = cuSeqlens('embeddingSum', gradients, options.segments);
    return deliver(
      'embeddingSum',
      ops.embedding_sum(ids, gradients, asTensor('embeddingSum', factors), at, vocabulary, scale, paddingId),
      options.out,
    );
  });
}

/** A table that is input embedding, x = inputScale · E[id], and softmax head, logits = scale · E h + bias, of one batch. */
export interface TiedTable extends RowOptions {
  /** `[N]` integers. */
  readonly ids: Tensor;
  /** u: gradients of the per-sample losses at the embedded rows, `[N, d]`. */
  readonly inputGradients: Tensor;
  /** h: the head's input rows, `[N, d]`. */
  readonly hidden: Tensor;
  /** `[N]` integers. */
  readonly targets: Tensor;
  /** E, `[M, d]`. */
  readonly table: Tensor;
  /** `[N]` weights of the rows' losses, 0 to ignore one. Default 1. */
  readonly weights?: Tensor;
  /** `[M]` */
  readonly bias?: Tensor;
  readonly inputScale?: number;
  readonly scale?: number;
  readonly labelSmoothing?: number;
  /** An id without input gradient. */
  readonly paddingId?: number;
  /** A column outside the softmax. */
  readonly headPaddingId?: number;
  /** Ids of the columns inside the softmax. Default: all. */
  readonly candidates?: Tensor;
  /** Divide each sample's weights by their sum. */
  readonly mean?: boolean;
}

const TIED = [
  ...['segments', 'ids', 'inputGradients', 'hidden', 'targets', 'table', 'weights', 'bias', 'inputScale', 'scale'],
  ...['labelSmoothing', 'paddingId', 'headPaddingId', 'candidates', 'mean'],
];

export interface PhantomNorms extends CertifiedNorms {
  /** `[B]`, float64: squared norms of the two uses, and their inner product: norm² = in + out + 2 cross. */
  readonly in: Tensor;
  readonly out: Tensor;
  readonly cross: Tensor;
}

function tiedOptions(tied: TiedTable) {
  return {
    weights: tied.weights ?? null,
    bias: tied.bias ?? null,
    input_scale: tied.inputScale ?? 1,
    scale: tied.scale ?? 1,
    label_smoothing: tied.labelSmoothing ?? 0,
    padding_id: tied.paddingId ?? -1,
    head_padding_id: tied.headPaddingId ?? -1,
    candidates: tied.candidates ?? null,
    mean: tied.mean ?? false,
  };
}

/**
 * Phantom clipping: the norm of each sample's gradient of a tied table, cross term included, without `[B, M, d]` numbers.
 *
 * @param tied.lse  `[N]` log-sum-exp of the logits, if the caller has it: it must be that of `hidden` and `table` to 1e-3, a guard
 *   against factors of different parameters.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 * @see Ding et al. 2024 (Delving into Differentially Private Transformer), Algorithm 1 and Claim B.1; the form used here is in
 *   docs/how-it-works.md.
 */
export function phantomNorm(tied: TiedTable & { readonly lse?: Tensor }): PhantomNorms {
  check.onlyKnown('phantomNorm', tied, [...TIED, 'lse']);
  return tidy(() => {
    const at = cuSeqlens('phantomNorm', tied.hidden, tied.segments);
    const [within, out, cross, norm, bound] = ops.phantom_norm(
      tied.ids,
      tied.inputGradients,
      tied.hidden,
      tied.table,
      tied.targets,
      at,
      { ...tiedOptions(tied), lse: tied.lse ?? null },
    );
    return { in: within, out, cross, norm, bound };
  });
}

/** Σ_b factors[b] times sample b's gradient of a tied table, `[M, d]`, summed in float64 and added to `out` if given. @throws as {@link phantomNorm} */
export function phantomSum(tied: TiedTable, factors: Factors, options: { readonly out?: Tensor } = {}): Tensor {
  check.onlyKnown('phantomSum', tied, TIED);
  check.onlyKnown('phantomSum', options, ['out']);
  return tidy(() => {
    const at = cuSeqlens('phantomSum', tied.hidden, tied.segments);
    const sum = ops.phantom_sum(
      tied.ids,
      tied.inputGradients,
      tied.hidden,
      tied.table,
      tied.targets,
      asTensor('phantomSum', factors),
      at,
      tiedOptions(tied),
    );
    return deliver('phantomSum', sum, options.out);
  });
}

/**
 * One way in which a matrix was used: its per-sample gradient is Σ_t l_t r_tᵀ over the sample's rows, `[p, d]`. Float32 or float64, the
 * same in all uses.
 */
export type KernelUse = RowOptions &
  (
    | {
        /** l, `[N, p]`, and r, `[N, d]`: a linear layer has its output's gradients and its input, either way round. */
        readonly left: Tensor;
        readonly right: Tensor;
      }
    | {
        /** `[N]` integers below p: one-hot rows l, and r = scale · rows, `[N, d]`. */
        readonly ids: Tensor;
        readonly rows: Tensor;
        readonly scale?: number;
        readonly paddingId?: number;
      }
    | {
        /** The per-sample gradients themselves, `[B, p · d]`. */
        readonly perSample: Tensor;
      }
  );

function usesOf(operation: string, uses: readonly KernelUse[]) {
  check.objects(operation, { uses });
  if (uses.length === 0) raise('ERR_INVALID_ARGUMENT', `${operation}: give at least one use.`);
  const none = zeros([0]);
  const parts = uses.map((use) => {
    const plain = { scale: 1, padding: -1 };
    if ('perSample' in use) {
      const [samples = 0] = use.perSample.shape;
      const at = cuSeqlens(
        operation,
        use.perSample,
        Array.from({ length: samples + 1 }, (_, b) => b),
      );
      return { kind: 'stored', first: use.perSample, second: none, at, ...plain };
    }
    if ('ids' in use) {
      const at = cuSeqlens(operation, use.rows, use.segments);
      return {
        kind: 'index',
        first: use.ids,
        second: use.rows,
        at,
        scale: use.scale ?? 1,
        padding: use.paddingId ?? -1,
      };
    }
    return {
      kind: 'dense',
      first: use.left,
      second: use.right,
      at: cuSeqlens(operation, use.left, use.segments),
      ...plain,
    };
  });
  return [
    parts.map(({ kind }) => kind),
    parts.map(({ first }) => first),
    parts.map(({ second }) => second),
    parts.map(({ at }) => at),
    parts.map(({ scale }) => scale),
    parts.map(({ padding }) => padding),
  ] as const;
}

/**
 * The norm of each sample's gradient of one matrix over all its uses, cross terms included: the rule by which the gradient book makes
 * sharing exact (a layer called twice, a recurrence, a table that is also a linear weight).
 *
 * @param shape  `[p, d]` of the matrix.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 * @see docs/how-it-works.md, «A per-sample gradient is a list of factors».
 * @example kernels.usesNorm([8, 4], [{ left: g1, right: x1, segments }, { left: g2, right: x2, segments }]).bound
 */
export function usesNorm(shape: readonly [p: number, d: number], uses: readonly KernelUse[]): CertifiedNorms {
  check.row('usesNorm', { shape });
  return tidy(() => {
    const [norm, bound] = ops.uses_norm(shape[0], shape[1], ...usesOf('usesNorm', uses));
    return { norm, bound };
  });
}

/** Σ_b factors[b] times sample b's gradient over all uses, `[p, d]`, summed in float64 and added to `out` if given. @throws as {@link usesNorm} */
export function usesSum(
  shape: readonly [p: number, d: number],
  uses: readonly KernelUse[],
  factors: Factors,
  options: { readonly out?: Tensor } = {},
): Tensor {
  check.row('usesSum', { shape });
  check.onlyKnown('usesSum', options, ['out']);
  return tidy(() => {
    const sum = ops.uses_sum(shape[0], shape[1], ...usesOf('usesSum', uses), asTensor('usesSum', factors));
    return deliver('usesSum', sum, options.out);
  });
}

export interface ReAttentionInput extends RowOptions {
  /** Variance of every entry of a key: `[N, heads]`, one number a head, or `[N, heads · dim]`, one a channel. */
  readonly keyVariance: Tensor;
  /** The same for the values, `[N, heads]`; left out: they are exact. */
  readonly valueVariance?: Tensor;
  /** Default 1. */
  readonly heads?: number;
  /** Default true: a row sees the keys up to its own. */
  readonly causal?: boolean;
  /** Default `logit`; what the choices do is said at `ReAttentionOptions.correction`. */
  readonly correction?: Correction;
  /** Largest amount taken from a logit. Default: any. */
  readonly maxPenalty?: number;
}

/**
 * Softmax attention whose logits z = ⟨q, k⟩/√dim are corrected for the noise of the keys: a Gaussian key of variance v adds
 * ⟨q, q⟩ v/(2 dim) to the logarithm of E exp z. Gradients reach query, key and value; variances and corrections are constants.
 *
 * @param query,key,value  `[N, heads · dim]` rows of the segments, or without them `[B, T, heads · dim]`; float32 or float64.
 * @returns `output` of the query's shape, and `outputVariance` `[N, heads]`: Σ S² valueVariance.
 * @throws ERR_BATCH_DIMENSION, ERR_INVALID_ARGUMENT
 * @see Ding et al. 2024, Eq. 20 and Algorithm 2; docs/paper.md for what differs.
 * @example const { output } = kernels.reAttention(q, k, v, { keyVariance, segments: [0, 5, 9] })
 */
export function reAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  input: ReAttentionInput,
): { readonly output: Tensor; readonly outputVariance: Tensor } {
  const known = ['keyVariance', 'valueVariance', 'heads', 'causal', 'correction', 'maxPenalty', 'segments'];
  check.onlyKnown('reAttention', input, known);
  const { keyVariance, valueVariance, heads = 1, causal = true, correction = 'logit', maxPenalty, segments } = input;
  check.able('reAttention', { query }, 'reshape', 'a tensor');
  check.able('reAttention', { key }, 'reshape', 'a tensor');
  check.able('reAttention', { value }, 'reshape', 'a tensor');
  return tidy(() => {
    const rows = (t: Tensor): Tensor => t.reshape([-1, t.shape.at(-1) ?? 1]);
    const [output, outputVariance] = ops.re_attention(
      rows(query),
      rows(key),
      rows(value),
      keyVariance,
      cuSeqlens('reAttention', query, segments),
      {
        heads,
        causal,
        correction,
        max_penalty: maxPenalty ?? null,
        value_variance: valueVariance ?? null,
      },
    );
    return { output: output.view(query.shape), outputVariance };
  });
}

/** How a clipped sum becomes public: noise of standard deviation σC on a public grid, then a public divisor. */
export interface PrivateNoise {
  /** σ, at least 0. With 0 there is neither noise nor grid, and no privacy. */
  readonly noiseMultiplier: number;
  /** C: the most that one sample adds to the sum. */
  readonly maxGradNorm: number;
  /** The public divisor: never the size of the batch that was drawn. */
  readonly expectedBatchSize: number;
  readonly noise: NoiseSource;
  /** Runs of the arena with scales (which `sum` was made in) and steps of their own. Default: 1 everywhere. */
  readonly profile?: ArenaProfile | null;
}

function release(operation: string, options: PrivateNoise): PrivateRelease {
  check.object(operation, { options });
  const { noiseMultiplier, maxGradNorm, expectedBatchSize, noise, profile = null } = options;
  check.able(operation, { noise }, 'close', 'a NoiseSource');
  check.notNegative(operation, { noiseMultiplier });
  check.positive(operation, { maxGradNorm });
  check.positive(operation, { expectedBatchSize });
  const noiseStd = noiseMultiplier * maxGradNorm;
  return { noiseSource: noise.id, noiseStd, grid: publicGrid(noiseStd), divisor: expectedBatchSize, profile };
}

/**
 * The released mean gradient: (sum + σC · N(0, I)) on the grid, divided by `expectedBatchSize` and the scale. Consumes `sum`, which is zero
 * afterwards, and one step of the noise source. What it costs is the caller's to account for.
 *
 * @param sum  `[n]` float64, contiguous.
 * @returns `[n]` float64.
 * @throws ERR_INVALID_ARGUMENT: then `sum` is as it was and no noise was used.
 * @see Abadi et al. 2016, Algorithm 1, «Add noise»; the grid is 2^⌊log2(σC / 256)⌋.
 */
export function privateNoise(sum: Tensor, options: PrivateNoise): Tensor {
  const { noiseSource, noiseStd, grid, divisor, profile } = release('privateNoise', options);
  const { ends: run_ends = null, scales = null } = profile ?? {};
  return noGrad(() => ops.privatise_(sum, noiseSource, noiseStd, grid, divisor, { run_ends, scales }));
}

/**
 * One private step in one pass over the arena: {@link privateNoise} and the optimizer's update.
 *
 * @param arena.parameters  `[n]` float32 or float64.  @param arena.sum  `[n]` float64; zero afterwards.
 * @returns How many parameters are not finite afterwards.
 * @throws ERR_INVALID_ARGUMENT: then nothing has changed and no noise was used.
 */
export function privateUpdate(arena: PrivateArena, options: PrivateNoise & { readonly optimizer: Optimizer }): number {
  check.object('privateUpdate', { options });
  check.able('privateUpdate', { optimizer: options.optimizer }, 'applyPrivate', 'an optimizer');
  check.object('privateUpdate', { arena });
  return options.optimizer.applyPrivate(arena, release('privateUpdate', options));
}
