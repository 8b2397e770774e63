// Where initial weights and dropout masks come from: one seed, and the order in which layers are made.

import * as check from '../check';
import { empty, Generator, noGrad, type Tensor } from '../tensor';

/** Element types of parameters. */
export type ParameterType = 'float32' | 'float64';

/** What every layer with parameters or dropout accepts. */
export interface LayerOptions {
  /** Default: one for the whole process, with seed 0 until {@link seedLayers} is called. */
  readonly init?: Initializer;
  /** Default float32. */
  readonly dtype?: ParameterType;
}

/** The names of {@link LayerOptions}. */
export const LAYER_OPTIONS = ['init', 'dtype'] as const satisfies readonly (keyof LayerOptions)[];

/**
 * Deals out initial weights and dropout sites in the order of asking. Equal seeds and equal layers give equal models.
 * It draws from a generator of its own: nothing else in the process changes what it gives.
 */
export class Initializer {
  readonly seed: number;
  readonly #generator: Generator;
  #sites = 0;

  /** @throws ERR_INVALID_ARGUMENT unless `seed` is a whole number of at least 0 */
  constructor(seed = 0) {
    check.integer('Initializer', { seed });
    this.seed = seed;
    this.#generator = new Generator(seed);
  }

  /** Normal values with mean 0 and standard deviation `std`. */
  normal(shape: readonly number[], std: number, dtype: ParameterType = 'float32'): Tensor {
    check.notNegative('Initializer.normal', { std });
    return noGrad(() => empty(shape, { dtype }).normal_(0, std, { generator: this.#generator }));
  }

  /** The number of a new place where dropout happens: 0, 1, 2 … Masks at different sites are independent. */
  site(): number {
    return this.#sites++;
  }
}

let shared: Initializer | undefined;

/** The initializer of layers that are given none. */
export function sharedInitializer(): Initializer {
  return (shared ??= new Initializer());
}

/** Starts the shared initializer afresh: layers made from here on, in the same order, are the same. */
export function seedLayers(seed: number): void {
  shared = new Initializer(seed);
}
