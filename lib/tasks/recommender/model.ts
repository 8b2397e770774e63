// Which models a run may train: from options to a model, and from a model to config.json and back.

import { raise } from '../../errors';
import type { SequentialModel } from '../../models/sequential-model';
import { SequentialRecurrent, type SequentialRecurrentConfig } from '../../models/sequential-recurrent';
import { SequentialTransformer, type SequentialTransformerConfig } from '../../models/sequential-transformer';
import type { ResolvedOptions } from './options';

/** What config.json says of the model. */
export type ModelKind =
  | {
      readonly model_type: 'sequential-transformer';
      readonly architectures: readonly ['SequentialTransformer'];
      readonly model: SequentialTransformerConfig;
    }
  | {
      readonly model_type: 'sequential-recurrent';
      readonly architectures: readonly ['SequentialRecurrent'];
      readonly model: SequentialRecurrentConfig;
    };

export const MODEL_TYPES = ['sequential-transformer', 'sequential-recurrent'] as const;

/** A model as the options say; equal options give equal initial weights. */
export function newModel(options: ResolvedOptions, items: number): SequentialModel {
  const { model, tied, dim, blocks, heads, maxLength, dropout, targets, seed, reAttention, outputBias } = options;
  const shared = { items, dim, maxLength, dropout, targets, tied, outputBias, seed };
  const made =
    model === 'transformer'
      ? new SequentialTransformer({ ...shared, blocks, heads, reAttention })
      : new SequentialRecurrent({ ...shared, cell: model, layers: blocks });
  return made.to(options.device);
}

export function kindOf(model: SequentialModel): ModelKind {
  if (model instanceof SequentialRecurrent) {
    return { model_type: 'sequential-recurrent', architectures: ['SequentialRecurrent'], model: model.config };
  }
  if (model instanceof SequentialTransformer) {
    return { model_type: 'sequential-transformer', architectures: ['SequentialTransformer'], model: model.config };
  }
  return raise('ERR_INVALID_ARGUMENT', `a run folder cannot hold a ${model.constructor.name}.`);
}

/** A model of the same kind and shape, with initial weights. @throws ERR_INVALID_ARGUMENT for an impossible shape. */
export function modelOf(kind: ModelKind): SequentialModel {
  return kind.model_type === 'sequential-recurrent'
    ? new SequentialRecurrent(kind.model)
    : new SequentialTransformer(kind.model);
}
