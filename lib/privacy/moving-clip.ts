// The clipping rule in force: fixed for a logical step, and moved after it by a noisy count of the samples below the threshold.

import { publicGrid } from '../optim';
import { noGrad, tensor, tidy, torch } from '../tensor';
import { type Clip, isAdaptive, widened } from './clip';
import type { NoiseSource } from './noise-source';

const ops = torch.ops.phantomgrad;

/** What is public about the count. */
export interface CountRelease {
  /** σ_b; 0 for no noise. */
  readonly noiseStd: number;
  readonly expectedBatchSize: number;
}

/**
 * Holds C_t and the bits of the logical step that is being summed. A rule with a fixed threshold passes through unchanged.
 *
 * A sample's bit is +½ when the rule leaves its gradient as it is and -½ when it shortens it or the gradient is not finite: one
 * sample more or less moves the sum of bits by exactly ½, which is what σ_eff is computed with.
 */
export class MovingClip {
  #clip: Clip;
  #bits = 0; // of the samples summed so far
  #next: Clip | null = null; // paid for, not yet in force

  constructor(
    clip: Clip,
    private readonly count: CountRelease,
  ) {
    this.#clip = clip;
  }

  /** The rule of the logical step at hand. */
  get clip(): Clip {
    return this.#clip;
  }

  /** Counts the samples of one physical batch. @param bounds  `[B]` certified bounds over all parameters; NaN where not finite. */
  observe(bounds: Float64Array): void {
    const { maxGradNorm, slack } = this.#clip;
    this.#bits += bounds.reduce((sum, bound) => sum + (widened(bound, slack) <= maxGradNorm ? 0.5 : -0.5), 0);
  }

  /** Publishes the count of the logical step. It belongs to the step's event: call it when that has been charged. */
  release(noise: NoiseSource): void {
    const clip = this.#clip;
    if (!isAdaptive(clip)) return;
    const { noiseStd, expectedBatchSize } = this.count;
    const mean = tidy(() => {
      const sum = tensor(Float64Array.of(this.#bits), { dtype: 'float64' });
      return noGrad(() => ops.privatise_(sum, noise.id, noiseStd, publicGrid(noiseStd), expectedBatchSize).item());
    });
    this.#next = clip.next(mean + 0.5);
  }

  /** Ends the logical step. */
  advance(): void {
    this.#clip = this.#next ?? this.#clip;
    this.forget();
  }

  /** Continues a run at the threshold that it had reached. */
  continueAt(maxGradNorm: number): void {
    if (isAdaptive(this.#clip)) this.#clip = this.#clip.at(maxGradNorm);
  }

  /** What was summed is gone, and the bits with it. */
  forget(): void {
    this.#bits = 0;
    this.#next = null;
  }
}
