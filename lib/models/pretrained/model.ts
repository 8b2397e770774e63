// The base of every model that is loaded from a Hugging Face folder, and can be saved as one.

import { raise } from '../../errors';
import { Module } from '../../nn';
import type { Tensor } from '../../tensor';
import type { Origin } from './family';
import { savePretrained } from './save';

/** A backbone with what a task puts on it. */
export abstract class PretrainedModel extends Module {
  /** Everything up to the last hidden rows; its parameters are «backbone.…». */
  abstract readonly backbone: Module;
  #origin: Origin | null = null;

  /** Per-sample loss of a batch: `[samples]`. */
  abstract loss(batch: never): Tensor;

  /** Tensors by path that belong to the model as its weights do, but are never trained. */
  constants(): ReadonlyMap<string, Tensor> {
    return new Map();
  }

  override dispose(): void {
    super.dispose();
    for (const constant of this.constants().values()) constant.dispose();
  }

  /** Family, task and configuration. */
  get origin(): Origin {
    return this.#origin ?? raise('ERR_INVALID_ARGUMENT', 'origin: make the model with fromPretrained or fromConfig.');
  }

  /** @internal Said once, by whoever makes the model. */
  set origin(origin: Origin) {
    this.#origin = Object.freeze(origin);
  }

  /**
   * Writes config.json and model.safetensors (beside generation_config.json, if the model came with one) under Hugging Face's names,
   * so that Python's transformers loads the folder. Low-rank additions are merged into the weights that they belong to.
   *
   * @throws ERR_MODEL_WEIGHTS for a parameter of one's own that has no name there.
   */
  savePretrained(folder: string): Promise<void> {
    return savePretrained(this, folder);
  }
}
