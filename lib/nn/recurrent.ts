// Recurrent layers over packed or equal sequences: what GRU and LSTM share.

import * as check from '../check';
import { raise } from '../errors';
import { type Tensor, tidy, torch, zeros } from '../tensor';
import { Dropout } from './dropout';
import { LAYER_OPTIONS, type LayerOptions, sharedInitializer } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';
import { currentSegments, equalSegments, withSegments } from './segments';
import { TimeSteps } from './time-steps';

export interface RecurrentOptions extends LayerOptions {
  /** Layers on top of each other. Default 1. */
  readonly layers?: number;
  /** Default true; both start at zero. */
  readonly bias?: boolean;
  /** Reads every sample from its end, too; the outputs of both directions stand side by side. Default false. */
  readonly bidirectional?: boolean;
  /** Probability of dropping an output between two layers while training. Default 0. */
  readonly dropout?: number;
  /**
   * Standard deviation of the initial weights, which are normal. Default 1/√(3 hidden): the variance of PyTorch's uniform ones.
   */
  readonly std?: number;
}

const KNOWN = [
  ...LAYER_OPTIONS,
  'layers',
  'bias',
  'bidirectional',
  'dropout',
  'std',
] as const satisfies readonly (keyof RecurrentOptions)[];

/** One layer in one direction. */
export interface Cell {
  /** `[gates hidden, inputs]`. */
  readonly weightIh: Parameter;
  /** `[gates hidden, hidden]`. */
  readonly weightHh: Parameter;
  /** `[gates hidden]` each. */
  readonly biasIh: Parameter | null;
  readonly biasHh: Parameter | null;
}

const { phantomgrad, aten } = torch.ops;

/** Parameters have PyTorch's names, shapes and order of gates: «weight_ih_l0», «bias_hh_l1_reverse». */
export abstract class Recurrent extends Module {
  /** `cells[layer][direction]`. */
  protected readonly cells: readonly (readonly Cell[])[];
  /** One for each gap between two layers: equal masks would not be independent. */
  private readonly drops: readonly Dropout[];
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly bidirectional: boolean;

  protected constructor(
    protected readonly operation: string,
    gates: number,
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions,
  ) {
    super();
    check.onlyKnown(operation, options, KNOWN);
    const { layers = 1, bias = true, bidirectional = false, dropout = 0, dtype = 'float32' } = options;
    check.integer(operation, { inputSize }, 1);
    check.integer(operation, { hiddenSize }, 1);
    const { init = sharedInitializer(), std = 1 / Math.sqrt(3 * hiddenSize) } = options;
    check.integer(operation, { layers }, 1);
    if (dropout !== 0 && layers === 1)
      raise('ERR_INVALID_ARGUMENT', `${operation}: dropout stands between two layers, and there is one.`);
    const directions = bidirectional ? 2 : 1;
    const normal = (columns: number): Parameter =>
      new Parameter(init.normal([gates * hiddenSize, columns], std, dtype));
    const shift = (): Parameter | null => (bias ? new Parameter(zeros([gates * hiddenSize], { dtype })) : null);
    this.cells = Array.from({ length: layers }, (_, layer) =>
      Array.from({ length: directions }, () => ({
        weightIh: normal(layer === 0 ? inputSize : directions * hiddenSize),
        weightHh: normal(hiddenSize),
        biasIh: shift(),
        biasHh: shift(),
      })),
    );
    this.drops = Array.from({ length: dropout === 0 ? 0 : layers - 1 }, () => new Dropout(dropout, { init }));
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.bidirectional = bidirectional;
  }

  protected override *members(): Iterable<[string, unknown]> {
    for (const [layer, directions] of this.cells.entries()) {
      for (const [direction, cell] of directions.entries()) {
        const suffix = `l${layer}${direction === 0 ? '' : '_reverse'}`;
        yield [`weight_ih_${suffix}`, cell.weightIh];
        yield [`weight_hh_${suffix}`, cell.weightHh];
        yield [`bias_ih_${suffix}`, cell.biasIh];
        yield [`bias_hh_${suffix}`, cell.biasHh];
      }
    }
    yield ['drops', this.drops];
  }

  /** What the input adds to the gates: `[N, inputs]` to `[N, gates hidden]`, all time steps in one call. */
  protected project(x: Tensor, { weightIh, biasIh }: Cell): Tensor {
    return phantomgrad.linear(x, weightIh, biasIh);
  }

  /** One step of the samples that are still running: `input` `[n, gates hidden]`, each state `[n, hidden]`. */
  protected abstract step(input: Tensor, state: readonly Tensor[], cell: Cell): Tensor[];

  /**
   * @param initial `[layers · directions, B, hidden]` for each kind of state; null: zeros.
   * @returns The outputs of the last layer in the shape of `x`, and the last state of every kind in the shape of `initial`.
   */
  protected run(x: Tensor, kinds: number, initial: readonly Tensor[] | null): { output: Tensor; last: Tensor[] } {
    const open = currentSegments();
    using own = open === null ? equalSegments(this.operation, x) : null;
    const segments = open ?? own!;
    this.#checkInput(x, segments.rows);
    for (const state of initial ?? []) this.#checkState(state, segments.samples);
    using forwards = new TimeSteps(segments, false, x);
    using backwards = this.bidirectional ? new TimeSteps(segments, true, x) : null;
    return tidy(() => {
      const none = zeros([segments.samples, this.hiddenSize], { dtype: x.dtype, device: x.device });
      const ends: Tensor[][] = Array.from({ length: kinds }, () => []);
      const output = withSegments(segments, () =>
        this.cells.reduce(
          (rows, directions, layer) => {
            const sides = directions.map((cell, direction) => {
              const place = layer * directions.length + direction;
              const state = Array.from({ length: kinds }, (_, kind) => initial?.[kind]?.select(0, place) ?? none);
              const { output: side, last } = this.#pass(rows, direction === 0 ? forwards : backwards!, cell, state);
              last.forEach((end, kind) => ends[kind]!.push(end));
              return side;
            });
            const out = sides.length === 1 ? sides[0]! : aten.cat(sides, 1);
            return this.drops[layer]?.forward(out) ?? out;
          },
          x.reshape([-1, this.inputSize]),
        ),
      );
      return {
        output: output.view([...x.shape.slice(0, -1), output.shape[1]!]),
        last: ends.map((states) => aten.stack(states)),
      };
    });
  }

  #pass(x: Tensor, time: TimeSteps, cell: Cell, initial: readonly Tensor[]): { output: Tensor; last: Tensor[] } {
    const inputs = this.project(x, cell)
      .indexSelect(0, time.order)
      .splitWithSizes(time.steps.map(({ running }) => running));
    const history = initial.map((state) => [state]);
    let state = initial;
    for (const [t, { segments, survivors }] of time.steps.entries()) {
      if (survivors !== null) state = state.map((rows) => rows.indexSelect(0, survivors));
      state = withSegments(segments, () => this.step(inputs[t]!, state, cell));
      state.forEach((rows, kind) => history[kind]!.push(rows));
    }
    const all = history.map((states) => aten.cat(states, 0)); // [B + N, hidden]
    const samples = initial[0]!.shape[0]!;
    return {
      output: all[0]!.indexSelect(0, time.places.add(samples)),
      last: all.map((states) => states.indexSelect(0, time.last)),
    };
  }

  #checkInput(x: Tensor, rows: number): void {
    const { shape } = x;
    const got = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    if (shape.at(-1) !== this.inputSize)
      raise(
        'ERR_INVALID_ARGUMENT',
        `${this.operation}: the input must be [..., ${this.inputSize}], got [${shape.join(', ')}].`,
      );
    if (got !== rows)
      raise(
        'ERR_BATCH_DIMENSION',
        `${this.operation}: the surrounding segments have ${rows} rows, the input has ${got}.`,
      );
  }

  #checkState(state: Tensor, samples: number): void {
    const expected = [this.cells.length * (this.bidirectional ? 2 : 1), samples, this.hiddenSize];
    if (state.shape.join() !== expected.join())
      raise(
        'ERR_INVALID_ARGUMENT',
        `${this.operation}: an initial state must be [${expected.join(', ')}], got [${state.shape.join(', ')}].`,
      );
  }
}
