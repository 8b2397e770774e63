// A small recommender and its data, for laws about engines.

import { SequenceDataset } from '../../../lib/data';
import { SequentialTransformer } from '../../../lib/models/sequential-transformer';
import { adam, type Optimizer, sgd } from '../../../lib/optim';
import { normalize, poisson, PrivacyEngine, type PrivacyEngineOptions } from '../../../lib/privacy';
import type { Tensor } from '../../../lib/tensor';

export const ITEMS = 30;

/** 40 deterministic histories of 2 to 9 items. */
export function histories(records = 40): SequenceDataset {
  const sequences = Array.from({ length: records }, (_, user) =>
    Array.from({ length: 2 + (user % 8) }, (_, k) => 1 + ((user * 7 + k * (1 + (user % 3))) % ITEMS)),
  );
  return SequenceDataset.from(sequences, ITEMS);
}

export function smallModel(
  options: Partial<ConstructorParameters<typeof SequentialTransformer>[0]> = {},
): SequentialTransformer {
  return new SequentialTransformer({ items: ITEMS, dim: 8, blocks: 1, maxLength: 6, dropout: 0, seed: 3, ...options });
}

export function engineFor(model: SequentialTransformer, options: Partial<PrivacyEngineOptions> = {}): PrivacyEngine {
  return new PrivacyEngine(model, {
    records: 40,
    steps: 4,
    noiseMultiplier: 1,
    sampler: poisson({ batchSize: 10 }),
    clip: normalize({ maxGradNorm: 1 }),
    insecureSeed: 11,
    ...options,
  });
}

export const optimizers = {
  adam: (model: SequentialTransformer): Optimizer => adam(model.parameters(), { lr: 0.01 }),
  sgd: (model: SequentialTransformer): Optimizer => sgd(model.parameters(), { lr: 0.5 }),
};

/** All parameters as numbers, in order. */
export function weights(model: { parameters(): Tensor[] }): number[] {
  return model.parameters().flatMap((p) => Array.from(p.detach().toTypedArray() as Float32Array));
}

export function distance(a: readonly number[], b: readonly number[]): number {
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - (b[i] as number)) ** 2, 0));
}
