// The yardstick of table-to-text: the text of the training table that has most fields in common. Not private: it repeats training data.

import type { Meaning } from '../../data';

/**
 * For each table the first reference of the nearest known one, by shared fields over all fields of both (Jaccard); the first of equals.
 *
 * @param known  At least one. @param sources  Lines as `name : The Eagle | Type : pub`.
 */
export function nearestReferences(known: readonly Meaning[], sources: readonly string[]): string[] {
  const sizes = known.map(({ source }) => fields(source).size);
  const holding = new Map<string, number[]>();
  known.forEach(({ source }, k) => {
    for (const field of fields(source)) {
      const list = holding.get(field);
      if (list === undefined) holding.set(field, [k]);
      else list.push(k);
    }
  });
  return sources.map((source) => {
    const own = fields(source);
    const common = new Uint32Array(known.length);
    for (const field of own) for (const k of holding.get(field) ?? []) common[k]! += 1;
    let [best, most] = [0, -1];
    common.forEach((count, k) => {
      const share = count / (own.size + sizes[k]! - count);
      if (share > most) [best, most] = [k, share];
    });
    return known[best]!.references[0]!;
  });
}

function fields(source: string): Set<string> {
  return new Set(source.split(' | ').map((field) => field.trim().toLowerCase()));
}
