// Splits one logical batch into physical batches under a row budget, so that memory is bounded whatever the sampler drew.

import * as check from '../check';

/**
 * Groups the records of one logical batch by length and fills physical batches up to `rowBudget` rows (rows times vocabulary is
 * what a softmax head costs). A record is never split: one longer than the budget gets a batch of its own. The order inside a
 * logical batch has no meaning, so sorting by length is free; equal lengths are ordered by record id, so the result depends only
 * on the set of records.
 *
 * @param rows  Rows of each record, `rows[k]` belonging to `recordIds[k]`; 0 is legal.
 * @returns The record ids of each physical batch; one empty batch for an empty logical batch (a noise-only step).
 * @throws ERR_INVALID_ARGUMENT when `rowBudget` is not a whole number above 0, or there are not as many `rows` as records.
 */
export function packRecords(
  recordIds: Int32Array,
  rows: ArrayLike<number>,
  options: { rowBudget: number },
): Int32Array[] {
  check.row('packRecords', { recordIds });
  check.row('packRecords', { rows });
  check.integer('packRecords', { rows: rows.length }, recordIds.length, recordIds.length);
  check.object('packRecords', { options });
  const { rowBudget } = options;
  check.integer('packRecords', { rowBudget }, 1);
  if (recordIds.length === 0) return [new Int32Array(0)];
  const order = Array.from(recordIds, (_, k) => k);
  order.sort(
    (a, b) => (rows[b] as number) - (rows[a] as number) || (recordIds[a] as number) - (recordIds[b] as number),
  );
  const batches: Int32Array[] = [];
  let open: number[] = [];
  let filled = 0;
  for (const k of order) {
    const more = rows[k] as number;
    if (open.length > 0 && filled + more > rowBudget) {
      batches.push(Int32Array.from(open));
      open = [];
      filled = 0;
    }
    open.push(recordIds[k] as number);
    filled += more;
  }
  batches.push(Int32Array.from(open));
  return batches;
}
