// A running average of the weights, kept beside them: computed from released weights alone, it costs no privacy.

import { raise } from '../errors';
import { keep, noGrad, type Tensor, tidy, torch } from '../tensor';

/** a ← d a + (1 - d) w after each step, from the first step's weights on. */
export class WeightAverage {
  #flat: Tensor | null = null;

  /** @param decay  d, in [0, 1). */
  constructor(readonly decay: number) {}

  /** The weights end to end; null before the first step. Not a copy. */
  get flat(): Tensor | null {
    return this.#flat;
  }

  /** Takes in the weights after a step, whose elements, end to end, are those of the average; the `first` ones begin it. */
  take(weights: readonly Tensor[], first: boolean): void {
    const parts = weights.map((tensor) => tensor.detach().reshape([-1]));
    if (first || this.#flat === null) {
      this.#flat?.dispose();
      this.#flat = keep(torch.ops.aten.cat(parts));
      return;
    }
    let at = 0;
    for (const part of parts) {
      this.#flat.narrow(0, at, part.numel).lerp_(part.to({ device: this.#flat.device }), 1 - this.decay);
      at += part.numel;
    }
  }

  /** Takes over `flat` and goes on from it; null: begins with the next weights. */
  load(flat: Tensor | null): void {
    this.#flat?.dispose();
    this.#flat = flat;
  }

  /** Puts the average into `weights`. @throws ERR_ENGINE_STATE before the first step */
  adopt(operation: string, weights: readonly Tensor[]): void {
    const flat = this.#flat ?? raise('ERR_ENGINE_STATE', `${operation}: no step has been taken yet.`);
    let at = 0;
    noGrad(() => {
      tidy(() => {
        for (const weight of weights) {
          weight.copy_(flat.narrow(0, at, weight.numel).view(weight.shape));
          at += weight.numel;
        }
      });
    });
  }

  /** Runs `evaluate` while `weights` hold the average, and puts them back, whatever happens. @throws ERR_ENGINE_STATE before the first step */
  during<T>(weights: readonly Tensor[], evaluate: () => T): T {
    const own = noGrad(() => weights.map((weight) => keep(weight.detach().clone())));
    try {
      this.adopt('withAverage', weights);
      return evaluate();
    } finally {
      noGrad(() => weights.forEach((weight, k) => weight.copy_(own[k] as Tensor)));
      own.forEach((tensor) => tensor.dispose());
    }
  }
}
