// The attention weights of a layer, for looking at them: the operators never hold them, so they are read off one-hot values.

import { beside, noGrad, type Tensor, tidy, torch } from '../tensor';
import type { SelfAttention } from './attention';
import { linearVariance, type Noisy, type WeightNoise } from './noisy';
import { currentSegments } from './segments';
import * as check from '../check';
import { raise } from '../errors';

/**
 * What {@link SelfAttention.forwardNoisy} mixes the values by, correction included: the attention operator is run on values that are
 * unit vectors, so that what comes out is the weights, whatever it does inside.
 *
 * @param x  `[N, dim]` rows of one sample, in the surrounding segments. @returns `[heads][N][N]`; without dropout.
 * @throws ERR_BATCH_DIMENSION outside of segments, or for more than one sample.
 */
export function attentionWeights(layer: SelfAttention, x: Noisy, noise: WeightNoise): number[][][] {
  check.able('attentionWeights', { layer }, 'forwardNoisy', 'a layer of attention');
  check.object('attentionWeights', { x });
  check.object('attentionWeights', { noise });
  const { mean, variance } = x;
  const segments = currentSegments();
  if (segments?.samples !== 1) {
    return raise(
      'ERR_BATCH_DIMENSION',
      'attentionWeights: the rows must be those of one sample, inside nn.withSegments.',
    );
  }
  const { heads, dim, causal } = layer;
  const [rows, width] = [segments.rows, dim / heads];
  const weights = Array.from({ length: heads }, () =>
    Array.from({ length: rows }, () => new Array<number>(rows).fill(0)),
  );
  const columns = (first: number): Float32Array =>
    noGrad(() =>
      tidy(() => {
        const [query, key] = layer.qkv.forward(mean).split(dim, -1) as [Tensor, Tensor, Tensor];
        const value = unitRows(query, rows, heads, width, first);
        const options = { heads, causal, seed: layer.seed, step: segments.step, site: layer.site };
        if (variance === null) {
          const mixed = torch.ops.phantomgrad.attention(query, key, value, segments.cuSeqlens, options);
          return mixed.to('float32').toTypedArray() as Float32Array;
        }
        const keys = linearVariance(layer.qkv, mean, variance, noise, 3 * heads).narrow(1, heads, heads);
        const [mixed] = torch.ops.phantomgrad.re_attention(query, key, value, keys, segments.cuSeqlens, {
          ...options,
          correction: noise.correction,
          max_penalty: noise.maxPenalty,
          value_variance: null,
        });
        return mixed.to('float32').toTypedArray() as Float32Array;
      }),
    );
  for (let first = 0; first < rows; first += width) {
    const mixed = columns(first);
    for (let head = 0; head < heads; head++) {
      for (let query = 0; query < rows; query++) {
        for (let k = 0; k < width && first + k < rows; k++) {
          weights[head]![query]![first + k] = mixed[query * dim + head * width + k] as number;
        }
      }
    }
  }
  return weights;
}

/** `[rows, heads · width]`: in every head, row `first + k` is the k-th unit vector; all other rows are 0. */
function unitRows(like: Tensor, rows: number, heads: number, width: number, first: number): Tensor {
  const values = new Float32Array(rows * heads * width);
  for (let head = 0; head < heads; head++) {
    for (let k = 0; k < width && first + k < rows; k++) values[(first + k) * heads * width + head * width + k] = 1;
  }
  return beside(like, values, [rows, heads * width]);
}
