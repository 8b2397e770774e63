// A process of its own that takes a few steps of one size and says what they cost: peak memory is a property of a whole process.

import { readFileSync, writeFileSync } from 'node:fs';

import { SequenceDataset } from '../../../data';
import { SequentialTransformer } from '../../../models/sequential-transformer';
import { adam } from '../../../optim';
import { normalize, PlainEngine, poisson, PrivacyEngine } from '../../../privacy';
import { tidy } from '../../../tensor';

export type Variant = 'ours' | 'pieces' | 'ghost' | 'plain';

export interface CostJob {
  readonly variant: Variant;
  readonly steps: number;
  readonly dim: number;
  readonly maxLength: number;
  readonly items: number;
  readonly histories: readonly (readonly number[])[];
  /** File for the {@link Cost}. */
  readonly result: string;
}

export interface Cost {
  readonly secondsPerStep: readonly number[];
  /** Largest resident memory with the steps, and before the first of them. */
  readonly peakMb: number;
  readonly baseMb: number;
}

const peakMb = (): number => process.resourceUsage().maxRSS / 1024;

function measure({ variant, steps, dim, maxLength, items, histories }: CostJob): Cost {
  const train = SequenceDataset.from(histories, items);
  const records = train.length;
  // Footnote 12: the baseline without sharing has half the width, so that both have as many parameters.
  const tied = variant !== 'ghost';
  const model = new SequentialTransformer({ items, dim: tied ? dim : dim / 2, maxLength, dropout: 0, tied });
  const { bytesPerRow } = model.packing();
  // One physical batch, except where the library may cut it as it does by default.
  const whole = { memoryBudget: bytesPerRow * records * (maxLength + 1) };
  // A rate of 1 draws every record: the batch is the same for all variants and steps.
  const shared = {
    ...{ records, sampler: poisson({ batchSize: records }) },
    performance: variant === 'pieces' ? {} : whole,
  };
  const engine =
    variant === 'plain'
      ? new PlainEngine(model, { ...shared, epochs: steps + 1 })
      : new PrivacyEngine(model, {
          ...{ ...shared, steps: steps + 1, noiseMultiplier: 1, clip: normalize({ maxGradNorm: 1 }) },
          attributionCheck: false,
        });
  const optimizer = engine.attach(adam(model.parameters(), { lr: 1e-3 }));
  const baseMb = peakMb();
  const seconds: number[] = [];
  let start = performance.now();
  for (const batch of engine.batches(train)) {
    tidy(() => optimizer.step({ loss: model.loss(batch) }));
    if (!batch.completesStep) continue;
    seconds.push((performance.now() - start) / 1000);
    start = performance.now();
  }
  engine.detach();
  // The first step pays for allocations that no later one needs.
  return { secondsPerStep: seconds.slice(1), peakMb: peakMb(), baseMb };
}

if (require.main === module) {
  const job = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as CostJob;
  writeFileSync(job.result, JSON.stringify(measure(job)));
}
