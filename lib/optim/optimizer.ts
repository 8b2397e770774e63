// What every optimizer is: a step on `.grad`, the same step on privately released gradients, and state that can be saved.

import * as check from '../check';
import { raise } from '../errors';
import { keep, noGrad, type Tensor, tidy, zeros } from '../tensor';
import { type ParamGroup, paramGroup } from './param-group';
import type { PrivateArena, PrivateRelease } from './release';
import { WeightAverage } from './weight-average';

/** What a checkpoint keeps of an optimizer. The tensors are the optimizer's own, not copies. */
export interface OptimizerState {
  readonly kind: string;
  /** Steps taken. */
  readonly steps: number;
  readonly lr: number;
  /** Whether the flat tensors follow `parameters`, end to end, or the arena of a privacy engine. `null`: no step yet. */
  readonly layout: Layout | null;
  /** Flat moments by name, in the parameters' type. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Set when the moments hold gradients that got no noise; absent otherwise. */
  readonly unprotected?: boolean;
}

const AVERAGE = 'average'; // among the tensors of a state

export type Layout = 'parameters' | 'arena';

/** What every optimizer may keep beside its own state. */
export interface AverageOptions {
  /**
   * d, in [0, 1): after each step a running average of the weights, a ← d a + (1 - d) w (from the first step's weights on), is kept beside
   * them; {@link Optimizer.withAverage} evaluates with it. It is computed from released weights alone and costs no privacy. Checkpoints
   * save it with the moments. Default: none is kept.
   */
  readonly averageDecay?: number;
}

/** Gives the moment `name` that belongs to what is being updated. */
export type Moments<Name extends string> = (name: Name) => Tensor;

/**
 * Base of SGD, Adam and AdamW. A subclass says how one gradient moves one tensor, and how a private release moves the
 * arena; step counting, memory of the moments and checkpoints are here.
 *
 * All parameters have one type, float32 or float64. Moments are flat tensors, allocated at the first step: over the
 * parameters end to end, or over the arena where an engine runs the optimizer.
 */
export abstract class Optimizer<Name extends string = string> {
  abstract readonly kind: string;
  /** Everything that was chosen beside the rate, by name: what a checkpoint compares. */
  abstract get settings(): Readonly<Record<string, number | boolean | readonly number[]>>;
  protected abstract readonly momentNames: readonly Name[];
  readonly parameters: readonly Tensor[];
  readonly paramGroups: readonly [ParamGroup];
  #moments = new Map<Name, Tensor>();
  #layout: Layout | null = null;
  #steps = 0;
  #unprotected = false;
  #arenaOrder: readonly Tensor[];
  readonly #average: WeightAverage | null;

  /** @throws ERR_INVALID_ARGUMENT for no parameters, one given twice, mixed types, a negative rate, or a decay outside [0, 1) */
  protected constructor(
    operation: string,
    parameters: Iterable<Tensor>,
    options: AverageOptions & { readonly lr: number },
  ) {
    check.text('Optimizer', { operation });
    check.object(operation, { options });
    const { lr, averageDecay } = options;
    this.paramGroups = [paramGroup(operation, parameters, lr)];
    this.parameters = this.paramGroups[0].parameters;
    this.#arenaOrder = this.parameters;
    if (averageDecay !== undefined) {
      check.share(operation, { averageDecay });
    }
    this.#average = averageDecay === undefined ? null : new WeightAverage(averageDecay);
  }

  /** Learning rate of the next step: finite, at least 0. @throws ERR_INVALID_ARGUMENT */
  get lr(): number {
    return this.paramGroups[0].lr;
  }

  set lr(value: number) {
    this.paramGroups[0].lr = value;
  }

  /** d of the average of weights; null where none is kept. */
  get averageDecay(): number | null {
    return this.#average?.decay ?? null;
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  /** One step on the gradients in `.grad`. A parameter without a gradient stays as it is. Not private. @throws ERR_ENGINE_STATE for a loss: engines take it. */
  step(...unexpected: never[]): void {
    if (unexpected.length > 0) {
      raise(
        'ERR_ENGINE_STATE',
        'step: no engine is attached to this optimizer, so it takes no loss: it steps on .grad.',
      );
    }
    noGrad(() => {
      tidy(() => {
        this.#allocate(
          'parameters',
          this.parameters.reduce((sum, p) => sum + p.numel, 0),
          this.parameters[0] as Tensor,
        );
        const step = this.#steps + 1;
        let offset = 0;
        for (const parameter of this.parameters) {
          const start = offset;
          offset += parameter.numel;
          if (parameter.grad === null) continue;
          const slice = (name: Name): Tensor =>
            this.#moment(name).narrow(0, start, parameter.numel).view(parameter.shape);
          this.update(parameter, parameter.grad, slice, step);
        }
        this.#average?.take(this.parameters, step === 1);
        this.#steps = step;
        this.#unprotected = true;
      });
    });
  }

  /**
   * Whether the moments hold gradients that got no noise: of `step`, of a PlainEngine, or of a noise multiplier of 0. A private step would
   * publish what is left of them.
   */
  get unprotected(): boolean {
    return this.#unprotected;
  }

  /** @internal What an engine calls after a release without noise. */
  markUnprotected(): void {
    this.#unprotected = true;
  }

  /** Drops all gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.grad = null;
  }

  /**
   * One private step: releases the arena's sum with noise, moves the arena's parameters, leaves the sum at zero.
   * A privacy engine calls this once a logical step, after its ledger has paid.
   *
   * @returns How many parameters are not finite afterwards.
   * @throws ERR_INVALID_ARGUMENT for a wrong arena or release: then nothing has changed and no noise was used.
   */
  applyPrivate(arena: PrivateArena, release: PrivateRelease): number {
    return noGrad(() =>
      tidy(() => {
        const { parameters } = arena;
        this.#allocate('arena', parameters.numel, parameters);
        const step = this.#steps + 1;
        const notFinite = this.updatePrivately(arena, release, (name) => this.#moment(name), step);
        this.#average?.take([parameters], step === 1);
        this.#steps = step;
        return notFinite;
      }),
    );
  }

  /** What a checkpoint needs to continue this optimizer. */
  stateDict(): OptimizerState {
    const average = this.#average?.flat ?? null;
    return {
      kind: this.kind,
      steps: this.#steps,
      lr: this.lr,
      layout: this.#layout,
      tensors: {
        ...Object.fromEntries(this.#moments),
        ...(average === null ? {} : { [AVERAGE]: average }),
      },
      ...(this.#unprotected ? { unprotected: true } : {}),
    };
  }

  /**
   * Continues where `state` was taken; its tensors are copied. Weight decay, betas and the like are not part of a state.
   *
   * @throws ERR_INVALID_ARGUMENT if the state is of another kind of optimizer or lacks a moment
   */
  loadStateDict(state: OptimizerState): void {
    if (state.kind !== this.kind) refuse(this.kind, `the state is of ${state.kind}`);
    check.integer('loadStateDict', { steps: state.steps });
    const begun = state.layout !== null;
    const missing = begun ? this.momentNames.find((name) => state.tensors[name] === undefined) : undefined;
    if (missing !== undefined) refuse(this.kind, `the state lacks ${missing}`);
    if (begun && this.#average !== null && state.tensors[AVERAGE] === undefined) {
      refuse(this.kind, 'the state lacks the average of the weights');
    }
    this.lr = state.lr;
    // Before anything is freed: the state may be this optimizer's own.
    const copies = noGrad(() =>
      Object.entries(state.tensors).map(([name, tensor]) => [name, keep(tensor.clone())] as const),
    );
    this.#forget();
    for (const [name, copy] of copies) {
      if (name === AVERAGE && this.#average !== null) this.#average.load(copy);
      else if (begun && this.momentNames.includes(name as Name)) this.#moments.set(name as Name, copy);
      else copy.dispose();
    }
    this.#layout = state.layout;
    this.#steps = state.steps;
    this.#unprotected = state.unprotected === true;
  }

  /**
   * Runs `evaluate` while the parameters hold the average of the weights, and puts the weights back, whatever happens. Nothing may train
   * inside. The same with and without an engine attached.
   *
   * @throws ERR_ENGINE_STATE when no average is kept, or before the first step.
   * @example const { hit } = optimizer.withAverage(() => evaluate(model, test))
   */
  withAverage<T>(evaluate: () => T): T {
    return this.#kept('withAverage').during(this.#averaged, evaluate);
  }

  /**
   * Puts the average of the weights into the parameters, for good: what ends training with it. The average itself stays as it is.
   *
   * @throws ERR_ENGINE_STATE when no average is kept, or before the first step.
   */
  adoptAverage(): void {
    this.#kept('adoptAverage').adopt('adoptAverage', this.#averaged);
  }

  /** @internal In which order an engine's arena holds the parameters. */
  followArena(order: readonly Tensor[]): void {
    this.#arenaOrder = order;
  }

  /** For {@link settings}: nothing where no average is kept, so that such runs are described as they always were. */
  protected get averageSettings(): { averageDecay?: number } {
    return this.averageDecay === null ? {} : { averageDecay: this.averageDecay };
  }

  /** Frees the moments. The optimizer starts afresh if it is used again. */
  dispose(): void {
    this.#forget();
    this.#steps = 0;
  }

  /** Moves `parameter` by `gradient`, with its slice of the moments; `step` is 1 for the first. */
  protected abstract update(parameter: Tensor, gradient: Tensor, moments: Moments<Name>, step: number): void;

  /** Moves the arena by what is released of its sum, and returns the number of parameters that are not finite. */
  protected abstract updatePrivately(
    arena: PrivateArena,
    release: PrivateRelease,
    moments: Moments<Name>,
    step: number,
  ): number;

  #kept(operation: string): WeightAverage {
    return this.#average ?? raise('ERR_ENGINE_STATE', `${operation}: give the optimizer an averageDecay.`);
  }

  /** What the average was taken of, in its order. */
  get #averaged(): readonly Tensor[] {
    return this.#layout === 'arena' ? this.#arenaOrder : this.parameters;
  }

  #moment(name: Name): Tensor {
    return this.#moments.get(name) as Tensor;
  }

  #allocate(layout: Layout, numel: number, { dtype, device }: Tensor): void {
    if (this.#steps === 0) {
      this.#forget();
      for (const name of this.momentNames) this.#moments.set(name, keep(zeros([numel], { dtype, device })));
      this.#layout = layout;
      return;
    }
    // The arena has its own order: moments of the one layout would meet parameters of the other.
    if (this.#layout !== layout) {
      refuse(this.kind, `its moments follow the ${this.#layout}, and this step needs them over the ${layout}`);
    }
    for (const [name, { numel: has, dtype: type }] of this.#moments) {
      if (has !== numel || type !== dtype) {
        refuse(this.kind, `${name} holds ${has} ${type} elements, and this step has ${numel} of ${dtype}`);
      }
      this.#moveMoment(name, device);
    }
  }

  // A state may come from a run on another device.
  #moveMoment(name: Name, device: string): void {
    const held = this.#moment(name);
    if (held.device === device) return;
    this.#moments.set(name, keep(held.to({ device })));
    held.dispose();
  }

  #forget(): void {
    for (const tensor of this.#moments.values()) tensor.dispose();
    this.#moments.clear();
    this.#average?.load(null);
    this.#layout = null;
    this.#unprotected = false;
  }
}

function refuse(kind: string, what: string): never {
  return raise('ERR_INVALID_ARGUMENT', `${kind}: ${what}. Make a new optimizer, or load the state that belongs here.`);
}
