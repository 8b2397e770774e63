// Groups that the user names by prefixes of dotted paths.

import * as check from '../../check';
import { raise } from '../../errors';
import { isPrefixes, within } from '../prefixes';
import { type Grouping, withShares } from './grouping';

/** One group: prefixes alone, or with a weight. */
export type GroupSpec =
  | readonly string[]
  | {
      /** Dotted paths: «blocks.0» takes «blocks.0.linear.weight» and not «blocks.01.weight». */
      readonly prefixes: readonly string[];
      /** In proportion to the other groups' weights; default 1. */
      readonly weight?: number;
    };

/**
 * Groups by dotted prefixes; every trained parameter must belong to exactly one.
 *
 * The threshold of the whole stays `maxGradNorm`, C, which is what the noise is scaled to; weights divide it: C_g = C · weight / √Σ
 * weight². For thresholds C_g of your own give them as weights and C = √Σ C_g² as `maxGradNorm`.
 *
 * @throws ERR_INVALID_ARGUMENT for an empty list or a weight that is not above 0. Whether the prefixes fit a model is seen by
 *   `attach`, which throws ERR_PARAMETER_GROUPS.
 * @example normalize({ maxGradNorm: 1, groups: groups([['embed'], { prefixes: ['blocks.0', 'blocks.1'], weight: 2 }]) })
 */
export function groups(specs: readonly GroupSpec[]): Grouping {
  if (!Array.isArray(specs) || specs.length === 0) {
    raise('ERR_INVALID_ARGUMENT', 'groups: expected a list of at least one group, each a list of dotted prefixes.');
  }
  const wanted = specs.map(checkSpec);
  return Object.freeze({
    kind: 'groups',
    assign(names: readonly string[]) {
      for (const prefix of wanted.flatMap(({ prefixes }) => prefixes)) {
        if (names.some((name) => within(prefix, name))) continue;
        raise(
          'ERR_PARAMETER_GROUPS',
          `groups: the prefix «${prefix}» matches no trained parameter. Trained are ${names.join(', ')}.`,
        );
      }
      const groupOf = names.map((name) => {
        const found = wanted.flatMap(({ prefixes }, g) => (prefixes.some((p) => within(p, name)) ? [g] : []));
        if (found.length === 1) return found[0] as number;
        return raise(
          'ERR_PARAMETER_GROUPS',
          `groups: parameter ${name} is in ${found.length === 0 ? 'no group' : `groups ${found.join(' and ')}`}, and must be in ` +
            `exactly one. Name it, or freeze it with requiresGrad_(false).`,
        );
      });
      return withShares(wanted, groupOf);
    },
  });
}

function checkSpec(spec: GroupSpec, at: number): { prefixes: readonly string[]; weight: number; name: string } {
  check.object('groups', { [`group ${at}`]: spec });
  const { prefixes, weight = 1, ...unknown } = spelledOut(spec);
  check.onlyKnown('groups', unknown, ['prefixes', 'weight']);
  check.positive('groups', { weight });
  if (!isPrefixes(prefixes)) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `groups: group ${at} must be a list of at least one dotted prefix, none of them empty.`,
    );
  }
  return { prefixes: [...prefixes], weight, name: prefixes.join(', ') };
}

function spelledOut(spec: GroupSpec): Exclude<GroupSpec, readonly string[]> {
  return typeof spec === 'object' && 'prefixes' in spec ? spec : { prefixes: spec };
}
