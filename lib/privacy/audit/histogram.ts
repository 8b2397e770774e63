// The release of the item histogram: charged once, with the noise that is charged, and bounded by record.

import { Module, Parameter } from '../../nn';
import { zeros } from '../../tensor';
import { gaussian, neighboursOf } from '../accounting/events';
import type { PackableData, PhysicalBatch } from '../batch-stream';
import type { PrivateHistogram } from '../frequencies';
import { digits, type Finding } from './finding';
import type { AuditedMechanism, MakeEngine } from './subject';

/** Releases that are looked at. */
const RELEASES = 25;
/** Standard errors: a false alarm once in 1.7 million. */
const ERRORS = 5;

/** A model that wants to know of items, and keeps what it is told. */
class Listener extends Module {
  readonly usesFrequencies = true;
  readonly weight = new Parameter(zeros([1]));
  told: Float64Array | null = null;

  setFrequencies({ probability }: { readonly probability: Float64Array | null }): void {
    this.told = probability;
  }
}

/** Records that all hold the same items, twice as many as count in full. */
class Made implements PackableData<PhysicalBatch> {
  readonly #items: Int32Array;

  constructor(
    readonly length: number,
    readonly itemCount: number,
  ) {
    this.#items = Int32Array.from({ length: itemCount }, (_, k) => k + 1);
  }

  sequence(): Int32Array {
    return this.#items;
  }

  pack(ids: Int32Array): PhysicalBatch[] {
    return [{ samples: ids.length, completesStep: true }];
  }
}

/**
 * Lets engines release the histogram of made-up records, of which the sums are known: n records of 2k items each count n √½ for every item.
 *
 * - `histogramCharged`: each engine's ledger holds the release, once.
 * - `histogramNoise`: counts have mean n √½ to five standard errors, and their noise standard deviation σ_h √k to five.
 */
export function auditHistogram(
  { noiseMultiplier, clip, sampler, delta }: AuditedMechanism,
  histogram: PrivateHistogram,
  make: MakeEngine,
): Finding[] {
  const { maxItems } = histogram;
  const std = histogram.noiseMultiplier * Math.sqrt(maxItems);
  // Noise of twelve deviations reaches neither the floor nor 1, where shares are cut.
  const records = Math.max(sampler.batchSize, Math.ceil(41 * std));
  const data = new Made(records, 2 * maxItems);
  const mean = records * Math.SQRT1_2;
  let charged = 0;
  let [count, sum, square] = [0, 0, 0];
  for (let k = 0; k < RELEASES; k++) {
    const model = new Listener();
    const engine = make(model, { records, steps: 1, noiseMultiplier, delta, sampler, clip, frequencies: histogram });
    try {
      engine.batches(data);
      const { event } = engine.plan;
      const due = gaussian(histogram.noiseMultiplier, 1, event === null ? undefined : neighboursOf(event));
      charged += engine.ledger.charged(due);
      for (const share of (model.told ?? new Float64Array(0)).subarray(1)) {
        count += 1;
        sum += share * records - mean;
        square += (share * records - mean) ** 2;
      }
    } finally {
      engine.close();
      model.dispose();
    }
  }
  const off = sum / count / (std / Math.sqrt(count));
  const ratio = Math.sqrt(square / count) / std;
  const paid = charged === RELEASES;
  const bounded = Math.abs(off) <= ERRORS && Math.abs(ratio - 1) <= ERRORS / Math.sqrt(2 * count);
  return [
    {
      claim: 'histogramCharged',
      holds: paid,
      detail: `${RELEASES} histograms of items were released and ${charged} charged`,
    },
    {
      claim: 'histogramNoise',
      holds: bounded,
      detail:
        `counts lie ${digits(off)} standard errors from those of records cut to ${maxItems} items, with noise of standard deviation ` +
        `${digits(ratio)} times what is charged (${count} values)`,
    },
  ];
}
