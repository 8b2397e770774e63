// Which parameters are clipped together: every trained parameter belongs to one group, and each group has a part of the threshold.

import { raise } from '../../errors';

/** One group of parameters that are clipped together. */
export interface ParameterGroup {
  readonly name: string;
  /** C_g / C, above 0. */
  readonly share: number;
}

/** Groups for the parameters of one model. */
export interface GroupAssignment {
  /** At least one, each with at least one parameter; Σ share² = 1, so that a sample moves the sum by at most C. */
  readonly groups: readonly ParameterGroup[];
  /** `[P]` index of each parameter's group, in the order of the names. */
  readonly groupOf: readonly number[];
}

/** A way to group parameters. Frozen; a new one is a new file beside this one. */
export interface Grouping {
  readonly kind: string;
  /**
   * @param names  Dotted names of the trained parameters. A shared one is listed once, so it belongs to one group.
   * @throws ERR_PARAMETER_GROUPS naming a parameter in no group or in two, or a prefix without a parameter.
   */
  assign(names: readonly string[]): GroupAssignment;
}

/** C_g = C · weight / √Σ weight². */
export function withShares(
  named: readonly { readonly name: string; readonly weight: number }[],
  groupOf: readonly number[],
): GroupAssignment {
  // Relative to the largest, because squares of very large or very small weights leave the range.
  const largest = Math.max(...named.map(({ weight }) => weight));
  const norm = Math.hypot(...named.map(({ weight }) => weight / largest));
  return { groups: named.map(({ name, weight }) => ({ name, share: weight / largest / norm })), groupOf };
}

/** All parameters in one group. */
export function together(names: readonly string[]): GroupAssignment {
  return { groups: [{ name: 'all parameters', share: 1 }], groupOf: names.map(() => 0) };
}

/**
 * What a grouping promises, checked where it is used: noise is scaled to C, and a sample moves the sum by up to C √Σ share².
 *
 * @param count  Number of trained parameters.
 * @throws ERR_INVALID_ARGUMENT for shares whose squares add up to more than 1 (up to rounding), a share that is no number from 0 to 1, and
 *   parameters without a group.
 */
export function boundedGroups(assignment: GroupAssignment, count: number): GroupAssignment {
  const { groups, groupOf } = assignment;
  const squares = groups.reduce((sum, { share }) => sum + (share >= 0 ? share * share : NaN), 0);
  const placed = groupOf.length === count && groupOf.every((g) => groups[g] !== undefined);
  if (squares <= 1 + 2 ** -30 && placed) return assignment;
  return raise(
    'ERR_INVALID_ARGUMENT',
    `attach: the clipping groups must hold each of ${count} parameters, with shares of the threshold whose squares add up to at most 1, got ` +
      `${groupOf.length} parameters in ${groups.length} groups and a sum of ${squares}.`,
  );
}
