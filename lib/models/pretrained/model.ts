// The base of every model that is loaded from a Hugging Face folder, and can be saved as one.

import { raise } from '../../errors';
import { Embedding, Module, type Parameter } from '../../nn';
import type { Tensor } from '../../tensor';
import type { Origin } from './family';
import { loadAdapter, saveAdapter, type SaveAdapterOptions } from './adapter';
import type { ModelCard } from './model-card';
import { resizeTokenEmbeddings, type ResizeOptions } from './resize';
import { savePretrained } from './save';

export interface SaveOptions {
  readonly card?: ModelCard;
}

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

  /** `[vocabulary, width]`: the table that tokens are read from, and that a tied head shares. Null for models of images. */
  get wordTable(): Parameter | null {
    const { words } = this.backbone as { readonly words?: unknown };
    return words instanceof Embedding ? words.weight : null;
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
   * so that Python's transformers loads the folder. Low-rank additions are merged into the weights that they belong to. A prefix
   * goes into the folder «prefix», as {@link saveAdapter} writes it; `fromPretrained` reads it from there.
   *
   * @param options.card  Writes README.md, with the privacy statement.
   * @throws ERR_MODEL_WEIGHTS for a parameter of one's own that has no name there.
   * @example await model.savePretrained('out', { card: { statement: privacy.privacyStatement(engine, { unit: 'one letter' }) } })
   */
  savePretrained(folder: string, options: SaveOptions = {}): Promise<void> {
    return savePretrained(this, folder, options);
  }

  /**
   * Writes low-rank additions alone, and layers of a head that are trained, or a prefix: adapter_config.json and
   * adapter_model.safetensors, as Python's peft reads them. Additions that layers share are written for each.
   *
   * @throws ERR_INVALID_ARGUMENT for a model without additions, with additions and a prefix, and models of images; ERR_MODEL_WEIGHTS where anything else is trained.
   */
  saveAdapter(folder: string, options: SaveAdapterOptions = {}): Promise<void> {
    return saveAdapter(this, folder, options);
  }

  /**
   * Adds what {@link saveAdapter} or Python's peft has written, as {@link lora} or {@link prefixTuning} does: all else is frozen. Nothing of the additions
   * is dropped when they are trained on, whatever the file's lora_dropout was.
   *
   * @throws ERR_MODEL_CONFIG for adapters of another kind; ERR_MODEL_WEIGHTS where tensors do not fit, and then nothing has changed.
   */
  loadAdapter(folder: string): Promise<void> {
    return loadAdapter(this, folder);
  }
}
