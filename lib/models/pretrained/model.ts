// The base of every model that is loaded from a Hugging Face folder, and can be saved as one.

import { raise } from '../../errors';
import { Module } from '../../nn';
import type { Tensor } from '../../tensor';
import type { Origin } from './family';
import { resizeTokenEmbeddings, type ResizeOptions } from './resize';
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

  /** @internal Said by whoever makes the model, or changes its configuration. */
  set origin(origin: Origin) {
    this.#origin = Object.freeze(origin);
  }

  /**
   * Gives the model `count` tokens. Heads that share the word table follow it, others get as many rows. A new row is the mean of the
   * old ones with differences of a thousandth of their spread, so that new tokens begin unlikely and apart; with fewer tokens, the
   * last rows go. Optimizers that were made before hold the old table: make them afterwards.
   *
   * @throws ERR_ENGINE_STATE while an engine is attached; ERR_INVALID_ARGUMENT for models without tokens, and a count that loses the
   *   token that pads or begins a text.
   * @example model.resizeTokenEmbeddings(50_258) // GPT-2 with one special token more
   */
  resizeTokenEmbeddings(count: number, options: ResizeOptions = {}): void {
    resizeTokenEmbeddings(this, count, options);
  }

  /** @internal Constants that count tokens follow the word table. */
  resizeConstants(_count: number): void {
    // Most models have none.
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
