// What an audit looks at: a model that can be made again and again, records to train it on, and the mechanism that is claimed.

import type { Module } from '../../nn';
import type { Tensor } from '../../tensor';
import type { TrainableModel } from '../attached';
import type { PackableData, PhysicalBatch, Sampled } from '../batch-stream';
import type { Clip } from '../clip';
import type { Frequencies } from '../frequencies';
import { PrivacyEngine, type PrivacyEngineOptions } from '../privacy-engine';
import type { RowSteps } from '../row-steps';
import type { MemorylessSampler } from '../sampling';
import type { GradientScales } from '../scales';

export type AuditedModel<B extends PhysicalBatch> = Module &
  TrainableModel & {
    /** `[samples]`. */
    loss(batch: Sampled<B>): Tensor;
  };

export interface AuditSubject<B extends PhysicalBatch> {
  /** A new model, in training mode, with the same initial weights each time. The audit disposes it. */
  readonly model: () => AuditedModel<B>;
  /** Records to train on; they stay private to the audit. */
  readonly data: PackableData<B>;
  /** Brings back everything of a model that training changes beside its parameters, such as what Re-Attention corrects by. */
  readonly reset?: (model: AuditedModel<B>) => void;
}

/** The mechanism under audit. */
export interface AuditedMechanism {
  /** σ. */
  readonly noiseMultiplier: number;
  /** A rule with a fixed threshold. */
  readonly clip: Clip;
  /** Poisson sampling, which the inclusion statistics are known for. */
  readonly sampler: MemorylessSampler;
  readonly steps: number;
  readonly delta: number;
  /** As in the plan: gradients of these parameters are made larger or smaller before their norm is taken. Default: none. */
  readonly scales?: GradientScales;
  /** As in the plan: updates of a table's rows by frequencies, after privatisation. Default: none. */
  readonly rowSteps?: RowSteps;
  /** A private histogram is released a few times from made-up records. Others are not looked at. */
  readonly frequencies?: Frequencies;
}

/** Makes the engine that is audited. */
export type MakeEngine = (model: TrainableModel, options: PrivacyEngineOptions) => PrivacyEngine;

export const newEngine: MakeEngine = (model, options) => new PrivacyEngine(model, options);

/** What of a mechanism decides how updates are scaled. */
export function profileOf({
  scales,
  rowSteps,
}: Pick<AuditedMechanism, 'scales' | 'rowSteps'>): Pick<AuditedMechanism, 'scales' | 'rowSteps'> {
  return { ...(scales === undefined ? {} : { scales }), ...(rowSteps === undefined ? {} : { rowSteps }) };
}
