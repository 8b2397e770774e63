// Scales and row steps of a replay, written down a second time: what the update has to be divided by to see what was released.

import type { AcceptsEffectiveError, AcceptsFrequencies } from '../../nn';
import type { TrainableModel } from '../attached';
import { frequencies } from '../frequencies';
import { within } from '../prefixes';
import type { PrivacyEngineOptions } from '../privacy-engine';
import { trainable } from '../trainable';
import type { FlatParameters } from './parameters';

/** Frequencies of a replay are made up, as 1 / (1 + i): what is released must not depend on them. */
export class Profile {
  /** Those of the replay, with what the model has to know of items. */
  readonly options: PrivacyEngineOptions;
  readonly #probability: Float64Array | null;

  constructor(model: TrainableModel, options: PrivacyEngineOptions) {
    const { rowSteps } = options;
    const parameters = [...trainable(model)];
    const table = parameters.find(([name]) => rowSteps?.tables.some((prefix) => within(prefix, name)));
    const rows = table?.[1].shape[0];
    this.#probability = rows === undefined ? null : Float64Array.from({ length: rows }, (_, i) => 1 / (1 + i));
    const { usesEffectiveError, usesFrequencies } = model as Partial<AcceptsEffectiveError & AcceptsFrequencies>;
    const asks = usesEffectiveError === true || usesFrequencies === true;
    const made = this.#probability === null ? null : frequencies.public(this.#probability);
    const known = made === null ? (asks ? { frequencies: frequencies.uniform() } : {}) : { frequencies: made };
    this.options = { ...options, ...known };
  }

  /** Tells a model without an engine what the engine tells its own. */
  tell(twin: object): void {
    if (this.#probability === null) return;
    const known = { provenance: 'public', probability: this.#probability } as const;
    const { noiseMultiplier = 0, sampler } = this.options;
    const model = twin as Partial<AcceptsEffectiveError & AcceptsFrequencies>;
    const error = { noiseMultiplier, expectedBatchSize: sampler.batchSize, frequencies: known };
    if (model.usesEffectiveError === true) model.setEffectiveError?.(error);
    if (model.usesFrequencies === true) model.setFrequencies?.(known);
  }

  /** `[parameters]` each: s of the gradient's scale, and r_i = p_i^a Σp / Σ p^(1+a) of the row's step, 1 for padding. */
  over({ places, count }: FlatParameters): { readonly scales: Float64Array; readonly steps: Float64Array } {
    const { scales: groups, rowSteps } = this.options;
    const [scales, steps] = [new Float64Array(count).fill(1), new Float64Array(count).fill(1)];
    const own = groups?.assign(places.map(({ name }) => name)) ?? [];
    places.forEach(({ name, from, to }, k) => {
      scales.fill(own[k] ?? 1, from, to);
      if (rowSteps === undefined || !rowSteps.tables.some((prefix) => within(prefix, name))) return;
      const probability = this.#probability as Float64Array;
      const width = (to - from) / probability.length;
      const items = probability.slice(1);
      const power = items.map((p) => p ** rowSteps.exponent);
      const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
      const scale = sum(items) / sum(items.map((p, i) => p * (power[i] as number)));
      power.forEach((value, i) => steps.fill(scale * value, from + (i + 1) * width, from + (i + 2) * width));
    });
    return { scales, steps };
  }
}
