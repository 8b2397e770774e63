// What the reference vectors of norms say of each layer.

import { vectors } from './vectors';

const cases = (file: string): unknown => (vectors(file) as { readonly cases: unknown }).cases;

/** Activations and output gradients of samples end to end. */
export interface Rows {
  offsets: number[];
  a: number[][];
  g: number[][];
}

/** One linear layer, one call. */
export interface LinearCase extends Rows {
  name: string;
  d_in: number;
  d_out: number;
  norm2_weight: number[];
  norm2_bias: number[];
  norm2: number[];
  sum_grad_weight: number[][];
  sum_grad_bias: number[];
}

export const LINEAR = cases('norms_linear.json') as readonly LinearCase[];

/** A linear layer whose gradients nearly cancel. */
export interface CancellationCase {
  name: string;
  rows: number;
  d_in: number;
  d_out: number;
  a: number[][];
  g: number[][];
  norm: number;
  norm2: number;
  norm2_bias: number;
  sum_norm_products: number;
}

export const CANCELLATION = cases('norms_cancellation.json') as readonly CancellationCase[];

/** Repeated ids, a padding id without gradient, a scale. */
export interface EmbeddingCase {
  name: string;
  vocab: number;
  dim: number;
  offsets: number[];
  ids: number[];
  padding_id: number | null;
  scale: number;
  u: number[][];
  norm2: number[];
  sum_grad: number[][];
}

export const EMBEDDING = cases('norms_embedding.json') as readonly EmbeddingCase[];

/** A table that is embedding and softmax head. */
export interface TiedCase {
  name: string;
  vocab: number;
  dim: number;
  offsets: number[];
  ids: number[];
  targets: number[];
  weights: number[];
  mean_over_weights: boolean;
  alpha: number;
  tau: number;
  label_smoothing: number;
  padding_id: number | null;
  candidates: number[] | null;
  E: number[][];
  out_bias: number[] | null;
  h: number[][];
  u: number[][];
  norm2_in: number[];
  norm2_out: number[];
  cross: number[];
  norm2: number[];
  norm2_bias: number[];
  loss: number[];
  lse: number[];
  sum_grad_E: number[][];
  sum_grad_bias: number[];
  dH: number[][];
}

export const TIED = cases('norms_tied.json') as readonly TiedCase[];
