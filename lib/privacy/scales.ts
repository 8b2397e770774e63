// Scale, then privatise: some parameters' gradients are made smaller or larger before clipping, and the update divides by it again.

import * as check from '../check';
import { raise } from '../errors';
import { isPrefixes, within } from './prefixes';

/** One group of parameters and the scale of its gradients. */
export interface ScaleSpec {
  /** Dotted paths: «blocks.0» takes «blocks.0.linear.weight» and not «blocks.01.weight». */
  readonly prefixes: readonly string[];
  /** s, from 2^-20 to 2^20. */
  readonly scale: number;
}

/** A scale for every trained parameter. Frozen. */
export interface GradientScales {
  readonly kind: 'groupScales';
  readonly groups: readonly ScaleSpec[];
  /**
   * @param names  Dotted names of the trained parameters. A shared one is listed once: all its uses have one scale.
   * @returns `[P]` scale of each, 1 for those that no prefix takes.
   * @throws ERR_PARAMETER_GROUPS naming a parameter in two groups, or a prefix without a parameter.
   */
  assign(names: readonly string[]): readonly number[];
}

const LEAST = 2 ** -20;
const MOST = 2 ** 20;

/**
 * Multiplies the gradients of a group of parameters by s before the per-sample norm is taken; noise is added to the scaled sums, and the
 * update divides by s. A sample still adds at most C to what noise is added to, so that σ, C and ε are those without scales. In the
 * gradient, parameters of scale s get noise of standard deviation σC / (B s): a group with s < 1 counts for less in the norm, which leaves
 * more of the bound to the others, and pays for it with noise.
 *
 * Valid with every clipping rule and grouping. Thresholds, and the norms of `trainingStats`, are those of scaled gradients.
 *
 * @throws ERR_INVALID_ARGUMENT for an empty list or a scale out of range. Whether the prefixes fit a model is seen by `attach`, which throws
 *   ERR_PARAMETER_GROUPS.
 * @example new PrivacyEngine(model, { …, scales: groupScales([{ prefixes: ['positions', 'blocks'], scale: 0.2 }]) })
 */
export function groupScales(specs: readonly ScaleSpec[]): GradientScales {
  if (!Array.isArray(specs) || specs.length === 0) {
    raise('ERR_INVALID_ARGUMENT', 'groupScales: expected a list of at least one group, { prefixes, scale }.');
  }
  const wanted = specs.map(checkSpec);
  return own({
    kind: 'groupScales',
    groups: Object.freeze(wanted),
    assign(names: readonly string[]) {
      for (const prefix of wanted.flatMap(({ prefixes }) => prefixes)) {
        if (names.some((name) => within(prefix, name))) continue;
        raise(
          'ERR_PARAMETER_GROUPS',
          `groupScales: the prefix «${prefix}» matches no trained parameter. Trained are ${names.join(', ')}.`,
        );
      }
      return names.map((name) => {
        const found = wanted.filter(({ prefixes }) => prefixes.some((prefix) => within(prefix, name)));
        if (found.length <= 1) return found[0]?.scale ?? 1;
        return raise('ERR_PARAMETER_GROUPS', `groupScales: parameter ${name} is in ${found.length} groups.`);
      });
    },
  });
}

function checkSpec(spec: ScaleSpec, at: number): ScaleSpec {
  check.object('groupScales', { [`group ${at}`]: spec });
  const { prefixes, scale, ...unknown } = spec;
  check.onlyKnown('groupScales', unknown, ['prefixes', 'scale']);
  if (!isPrefixes(prefixes)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `groupScales: group ${at} must have a list of at least one dotted prefix, none of them empty.`,
    );
  }
  check.positive('groupScales', { scale });
  if (scale < LEAST || scale > MOST) {
    raise('ERR_INVALID_ARGUMENT', `groupScales: scale must be from 2^-20 to 2^20, got ${scale}.`);
  }
  return Object.freeze({ prefixes: Object.freeze([...prefixes]), scale });
}

// The scales in use are those that the checkpoint describes: an object with an `assign` of its own could break that.
const made = new WeakSet<GradientScales>();

function own(scales: GradientScales): GradientScales {
  made.add(scales);
  return Object.freeze(scales);
}

/** @throws ERR_INVALID_ARGUMENT for anything that {@link groupScales} did not make. */
export function checkScales(value: GradientScales): GradientScales {
  if (typeof value === 'object' && value !== null && made.has(value)) return value;
  return raise('ERR_INVALID_ARGUMENT', 'PrivacyEngine: scales must be made by groupScales([{ prefixes, scale }, …]).');
}
