// A few steps from the same parameters each time: what came out is read off the parameters, what should have gone in is computed beside.

import { sgd } from '../../optim';
import { type Tensor, tidy } from '../../tensor';
import type { PackableData, PackingOptions, PhysicalBatch, Sampled } from '../batch-stream';
import { frequencies } from '../frequencies';
import type { PrivacyEngineOptions } from '../privacy-engine';
import { FlatParameters } from './parameters';
import { type Reference, referenceGradients } from './reference';
import type { AuditSubject, MakeEngine } from './subject';

/** One logical step, in units of the threshold C. */
export interface Replayed {
  /** The released sum: what the parameters moved by, times the divisor. */
  readonly released: Float64Array;
  /** One entry for every sample that was drawn. */
  readonly references: readonly Reference[];
}

/**
 * Takes the planned steps with SGD of rate 1 / C, so that the parameters move by exactly what was released, and brings the parameters
 * back after each. Rounding of float32 parameters leaves errors near 1e-6 of C.
 *
 * @param records  The records behind the ids that the sampler draws at each step.
 */
export function replay<B extends PhysicalBatch>(
  subject: AuditSubject<B>,
  make: MakeEngine,
  options: PrivacyEngineOptions,
  records: (ids: Int32Array, step: number) => Int32Array,
  see: (step: Replayed, parameters: FlatParameters) => void,
): void {
  const [model, twin] = [subject.model(), subject.model()];
  const engine = make(model, knowing(model, options));
  try {
    const { maxGradNorm } = options.clip;
    const scale = 1 / maxGradNorm;
    const optimizer = engine.attach(sgd(model.trainableParameters(), { lr: scale }));
    const [parameters, beside] = [new FlatParameters(model), new FlatParameters(twin)];
    const start = parameters.read();
    beside.write(start);
    let drawn = 0;
    const data: PackableData<B> = {
      length: options.records,
      pack: (ids: Int32Array, packing: PackingOptions) => subject.data.pack(records(ids, drawn++), packing),
    };
    const references: Reference[] = [];
    for (const batch of engine.batches(data)) {
      subject.reset?.(model);
      subject.reset?.(twin);
      references.push(...alone(twin.loss.bind(twin), batch, beside, options));
      tidy(() => optimizer.step({ loss: model.loss(batch) }));
      if (!batch.completesStep) continue;
      const after = parameters.read();
      const divisor = options.sampler.batchSize;
      see(
        { released: after.map((value, i) => ((start[i] as number) - value) * divisor), references: [...references] },
        parameters,
      );
      references.length = 0;
      parameters.write(start);
    }
  } finally {
    engine.close();
    model.dispose();
    twin.dispose();
  }
}

// A model with Re-Attention wants to know of its items; what it is told does not change what is released of a gradient.
function knowing(model: object, options: PrivacyEngineOptions): PrivacyEngineOptions {
  return 'usesEffectiveError' in model && model.usesEffectiveError === true
    ? { ...options, frequencies: frequencies.uniform() }
    : options;
}

function alone<B extends PhysicalBatch>(
  loss: (batch: Sampled<B>) => Tensor,
  batch: Sampled<B>,
  parameters: FlatParameters,
  { clip }: PrivacyEngineOptions,
): Reference[] {
  const { maxGradNorm } = clip;
  return tidy(() => referenceGradients(loss(batch), parameters, clip)).map(({ gradient, clipped }) => ({
    gradient: gradient.map((value) => value / maxGradNorm),
    clipped: clipped.map((value) => value / maxGradNorm),
  }));
}
