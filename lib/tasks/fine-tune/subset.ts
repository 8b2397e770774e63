// The first records of a data set, for short runs.

import { createHash } from 'node:crypto';

import type { PackableData, PhysicalBatch } from '../../privacy';

/** Records that can be laid out, and say which they are. */
export type Records<B extends PhysicalBatch = PhysicalBatch> = PackableData<B> & { fingerprint(): string };

/** The first `count` records; the data themselves where there are no more. */
export function firstOf<B extends PhysicalBatch>(data: Records<B>, count: number): Records<B> {
  if (data.length <= count) return data;
  return {
    length: count,
    pack: (recordIds, options) => data.pack(recordIds, options),
    fingerprint: () => createHash('sha256').update(`first ${count} of ${data.fingerprint()}`).digest('hex'),
  };
}
