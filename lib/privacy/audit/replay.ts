// A few steps from the same parameters each time: what came out is read off the parameters, what should have gone in is computed beside.

import { sgd } from '../../optim';
import { type Tensor, tidy } from '../../tensor';
import type { PackableData, PackingOptions, PhysicalBatch, Sampled } from '../batch-stream';
import type { PrivacyEngineOptions } from '../privacy-engine';
import { FlatParameters } from './parameters';
import { Profile } from './profile';
import { type Reference, referenceGradients } from './reference';
import type { AuditSubject, MakeEngine } from './subject';

/** One logical step, in units of the threshold C. */
export interface Replayed {
  /** The released sum of scaled gradients: what the parameters moved by, times divisor and scale, over the rows' steps. */
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
  const profile = new Profile(model, options);
  profile.tell(twin);
  const engine = make(model, profile.options);
  try {
    const { maxGradNorm } = options.clip;
    const scale = 1 / maxGradNorm;
    const optimizer = engine.attach(sgd(model.trainableParameters(), { lr: scale }));
    const [parameters, beside] = [new FlatParameters(model), new FlatParameters(twin)];
    const start = parameters.read();
    beside.write(start);
    const { scales, steps } = profile.over(parameters);
    let drawn = 0;
    const data: PackableData<B> = {
      length: options.records,
      pack: (ids: Int32Array, packing: PackingOptions) => subject.data.pack(records(ids, drawn++), packing),
    };
    const references: Reference[] = [];
    for (const batch of engine.batches(data)) {
      subject.reset?.(model);
      subject.reset?.(twin);
      references.push(...alone(twin.loss.bind(twin), batch, beside, options, scales));
      tidy(() => optimizer.step({ loss: model.loss(batch) }));
      if (!batch.completesStep) continue;
      const after = parameters.read();
      const divisor = options.sampler.batchSize;
      const released = after.map(
        (value, i) => (((start[i] as number) - value) * divisor * (scales[i] as number)) / (steps[i] as number),
      );
      see({ released, references: [...references] }, parameters);
      references.length = 0;
      parameters.write(start);
    }
  } finally {
    engine.close();
    model.dispose();
    twin.dispose();
  }
}

function alone<B extends PhysicalBatch>(
  loss: (batch: Sampled<B>) => Tensor,
  batch: Sampled<B>,
  parameters: FlatParameters,
  { clip }: PrivacyEngineOptions,
  scales: Float64Array,
): Reference[] {
  const { maxGradNorm } = clip;
  return tidy(() => referenceGradients(loss(batch), parameters, clip, scales)).map(({ gradient, clipped }) => ({
    gradient: gradient.map((value) => value / maxGradNorm),
    clipped: clipped.map((value) => value / maxGradNorm),
  }));
}
