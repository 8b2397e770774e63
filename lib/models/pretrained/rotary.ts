// Rotary positions: queries and keys are turned by angles that grow with the position (Su et al. 2021, arXiv 2104.09864).

import { arange, noGrad, type Tensor, torch } from '../../tensor';
import type { ConfigReader } from './config';

/** Cosines and sines of every row: `[N, 1, headDim]`, the second half of a head repeating the first. */
export interface RotaryAngles {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** How frequencies follow from a configuration. */
export interface RotaryShape {
  readonly headDim: number;
  /** Base of the frequencies. */
  readonly theta: number;
  /** Null: as in the paper. */
  readonly scaling: RotaryScaling | null;
}

export type RotaryScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFactor: number;
      readonly highFactor: number;
      readonly original: number;
    };

/** Reads `rope_theta` and `rope_scaling`, or `rope_parameters`, which newer files have. */
export function rotaryShape(config: ConfigReader, headDim: number): RotaryShape {
  const parameters = config.object('rope_parameters') ?? config.object('rope_scaling');
  const theta =
    parameters?.number('rope_theta', config.number('rope_theta', 10_000)) ?? config.number('rope_theta', 10_000);
  const spelt = parameters?.raw.rope_type === undefined ? 'type' : 'rope_type';
  const type = parameters?.oneOf(spelt, ['default', 'linear', 'llama3'], 'default') ?? 'default';
  if (parameters === null || type === 'default') return { headDim, theta, scaling: null };
  const factor = parameters.number('factor');
  if (type === 'linear') return { headDim, theta, scaling: { type, factor } };
  const scaling = {
    type,
    factor,
    lowFactor: parameters.number('low_freq_factor'),
    highFactor: parameters.number('high_freq_factor'),
    original: parameters.integer('original_max_position_embeddings'),
  };
  return { headDim, theta, scaling };
}

/**
 * @param positions int64 `[N]`
 * @param like  Its type is that of the result. Angles are computed in float32 whatever it is, as the models were trained.
 */
export function rotaryAngles(positions: Tensor, { headDim, theta, scaling }: RotaryShape, like: Tensor): RotaryAngles {
  return noGrad(() => {
    const exponents = arange(0, headDim, 2, { dtype: 'float32', device: positions.device }).div(headDim);
    const frequencies = scale(torch.ops.aten.pow(theta, exponents).reciprocal(), scaling);
    const half = positions.to('float32').unsqueeze(1).mul(frequencies);
    const whole = torch.ops.aten.cat([half, half], -1).unsqueeze(1);
    return { cos: whole.cos().to(like.dtype), sin: whole.sin().to(like.dtype) };
  });
}

/** @param rows `[N, heads * headDim]`, the two halves of a head being the two coordinates. @returns the same shape */
export function rotate(rows: Tensor, headDim: number, { cos, sin }: RotaryAngles): Tensor {
  const [count, width] = rows.shape as [number, number];
  const heads = rows.view([count, width / headDim, headDim]);
  const [first, second] = heads.split(headDim / 2, -1) as [Tensor, Tensor];
  const turned = torch.ops.aten.cat([second.neg(), first], -1);
  return heads.mul(cos).add(turned.mul(sin)).view(rows.shape);
}

// Llama 3 slows low frequencies down by `factor`, keeps high ones, and goes over smoothly between them.
function scale(frequencies: Tensor, scaling: RotaryScaling | null): Tensor {
  if (scaling === null) return frequencies;
  const slow = frequencies.div(scaling.factor);
  if (scaling.type === 'linear') return slow;
  const { lowFactor, highFactor, original } = scaling;
  const wavelengths = frequencies.reciprocal().mul(2 * Math.PI);
  const smooth = wavelengths
    .reciprocal()
    .mul(original)
    .sub(lowFactor)
    .div(highFactor - lowFactor);
  const between = smooth.neg().add(1).mul(slow).add(smooth.mul(frequencies));
  const { aten } = torch.ops;
  const scaled = aten.where(wavelengths.gt(original / lowFactor), slow, frequencies);
  const medium = wavelengths.le(original / lowFactor).logicalAnd(wavelengths.ge(original / highFactor));
  return aten.where(medium, between, scaled);
}
