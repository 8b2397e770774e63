// Adam (Kingma & Ba 2015, Algorithm 1) as torch.optim.Adam, AdamW (Loshchilov & Hutter 2019) as torch.optim.AdamW, and DP-AdamBC.

import * as check from '../check';
import { type Tensor, torch } from '../tensor';
import { raise } from '../errors';
import { type AverageOptions, type Moments, Optimizer } from './optimizer';
import type { PrivateArena, PrivateRelease } from './release';

export interface AdamOptions extends AverageOptions {
  /** Learning rate. Default 1e-3. */
  readonly lr?: number;
  /** Decay of the two moments, each in [0, 1). Default [0.9, 0.999]. */
  readonly betas?: readonly [number, number];
  /** Added to the root of the second moment, outside the root. Default 1e-8. */
  readonly eps?: number;
  /** Adam: added to the gradient, coupled (L2). AdamW: parameters shrink by `lr * weightDecay`. Default 0, AdamW 0.01. */
  readonly weightDecay?: number;
  /**
   * Takes the noise out of the second moment, for private steps only: an update is divided by the root of
   * `max(v̂ - (σC / (B s))², floor)` (plus `eps`), where v̂ is the second moment without its start-up bias, σ, C, B are the engine's and
   * s is the scale of the parameter's group. Without it v̂ of a private run is mostly noise, and Adam moves as momentum SGD does.
   *
   * `floor`, above 0 and in squared units of the mean gradient, is γ' of the source and has to be tuned: v̂ is known no better than to
   * about (σC/B)² √(2(1 - β2)), and a floor far below that turns its error into large steps. In a run without noise it is plain Adam. Default:
   * not corrected.
   *
   * @see Tang, Shpilevskiy & Lécuyer 2024, «DP-AdamBC» (arXiv 2312.14334), Algorithm 1.
   */
  readonly noiseCorrection?: { readonly floor: number };
}

/** All of them decided. */
type AdamSettings = Required<Omit<AdamOptions, 'noiseCorrection' | keyof AverageOptions>> &
  Pick<AdamOptions, 'noiseCorrection' | keyof AverageOptions>;

type AdamMoment = 'expAvg' | 'expAvgSq';

/** Private steps run in one fused pass over the arena (`phantomgrad::private_adam_`); weight decay is post-processing. */
export class Adam extends Optimizer<AdamMoment> {
  readonly kind: 'adam' | 'adamw';
  protected readonly momentNames = ['expAvg', 'expAvgSq'] as const;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** γ' of DP-AdamBC, or null where the second moment is taken as it is. */
  readonly noiseFloor: number | null;

  /** @internal Use {@link adam} or {@link adamw}. */
  constructor(kind: 'adam' | 'adamw', parameters: Iterable<Tensor>, options: AdamSettings) {
    super(kind, parameters, options);
    const { betas, eps, weightDecay, noiseCorrection } = options;
    if (betas.length !== 2)
      raise('ERR_INVALID_ARGUMENT', `${kind}: betas must be two numbers, got [${betas.join(', ')}].`);
    for (const beta of betas) check.share(kind, { beta });
    check.notNegative(kind, { eps });
    check.notNegative(kind, { weightDecay });
    if (noiseCorrection !== undefined) {
      check.onlyKnown(kind, noiseCorrection, ['floor']);
      check.positive(kind, { floor: noiseCorrection.floor });
    }
    this.kind = kind;
    this.noiseFloor = noiseCorrection?.floor ?? null;
    this.betas = [betas[0], betas[1]];
    this.eps = eps;
    this.weightDecay = weightDecay;
  }

  get settings(): Readonly<Record<string, number | readonly number[]>> {
    const { betas, eps, weightDecay, noiseFloor } = this;
    return { betas, eps, weightDecay, ...(noiseFloor === null ? {} : { noiseFloor }), ...this.averageSettings };
  }

  protected update(parameter: Tensor, gradient: Tensor, moments: Moments<AdamMoment>, step: number): void {
    if (this.noiseFloor !== null) {
      raise(
        'ERR_ENGINE_STATE',
        `${this.kind}: noiseCorrection is for private steps, and there is no noise in this one. Attach a PrivacyEngine, or leave it out.`,
      );
    }
    const [beta1, beta2] = this.betas;
    const expAvg = moments('expAvg');
    const expAvgSq = moments('expAvgSq');
    let g = gradient;
    if (this.weightDecay > 0) {
      if (this.kind === 'adamw') parameter.mul_(1 - this.lr * this.weightDecay);
      else g = gradient.add(parameter, { alpha: this.weightDecay });
    }
    expAvg.mul_(beta1).add_(g, { alpha: 1 - beta1 });
    expAvgSq.mul_(beta2).addcmul_(g, g, { value: 1 - beta2 });
    const denominator = expAvgSq
      .sqrt()
      .div_(Math.sqrt(1 - beta2 ** step))
      .add_(this.eps);
    parameter.addcdiv_(expAvg, denominator, { value: -this.lr / (1 - beta1 ** step) });
  }

  protected updatePrivately(
    arena: PrivateArena,
    release: PrivateRelease,
    moments: Moments<AdamMoment>,
    step: number,
  ): number {
    const { ends, scales, steps } = release.profile ?? {};
    return torch.ops.phantomgrad.private_adam_(
      arena.parameters,
      moments('expAvg'),
      moments('expAvgSq'),
      arena.sum,
      release.noiseSource,
      release.noiseStd,
      release.grid,
      release.divisor,
      this.lr,
      this.betas[0],
      this.betas[1],
      this.eps,
      this.weightDecay,
      this.kind === 'adamw',
      step,
      {
        run_ends: ends ?? null,
        scales: scales ?? null,
        steps: steps ?? null,
        moment_floor: release.noiseStd > 0 ? (this.noiseFloor ?? 0) : 0,
      },
    );
  }
}

const KNOWN = ['lr', 'betas', 'eps', 'weightDecay', 'noiseCorrection', 'averageDecay'];

/** Adam over `parameters`. @throws ERR_INVALID_ARGUMENT @example optim.adam(model.parameters(), { lr: 3e-3, weightDecay: 1e-5 }) */
export function adam(parameters: Iterable<Tensor>, options: AdamOptions = {}): Adam {
  check.onlyKnown('adam', options, KNOWN);
  return new Adam('adam', parameters, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, ...options });
}

/** Adam with decoupled weight decay over `parameters`. @throws ERR_INVALID_ARGUMENT */
export function adamw(parameters: Iterable<Tensor>, options: AdamOptions = {}): Adam {
  check.onlyKnown('adamw', options, KNOWN);
  return new Adam('adamw', parameters, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0.01, ...options });
}
