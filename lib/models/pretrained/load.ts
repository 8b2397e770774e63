// Puts the tensors of a checkpoint into the parameters of a model: all of them, each of the right shape, or none is trusted.

import { raise } from '../../errors';
import { type Initializer, type ParameterType } from '../../nn';
import { noGrad, type Tensor, tidy } from '../../tensor';
import { type Family, namesOf, type Origin, type TaskRow } from './family';
import { visitWeights } from './files';
import type { PretrainedModel } from './model';
import { isTheirs, theirName } from './names';

export interface LoadOptions {
  /** The head starts afresh whatever the file holds for one: the first step of fine-tuning for another task. */
  readonly newHead: boolean;
  readonly init: Initializer;
  /** Standard deviation of a new head's matrices. */
  readonly std: number;
}

/**
 * Reads the weights of `folder` into `model`.
 *
 * @throws ERR_MODEL_WEIGHTS that lists every missing, extra and wrongly shaped tensor, and every one that should equal another.
 */
export async function loadInto(model: PretrainedModel, folder: string, options: LoadOptions): Promise<void> {
  const { origin } = model;
  const fit = new Fit(model, origin, options.newHead);
  await visitWeights(folder, (tensors) => tidy(() => noGrad(() => fit.take(tensors))));
  fit.finish(folder);
  if (!options.newHead) return;
  for (const [path, parameter] of model.namedParameters()) {
    // Vectors are as their layers begin: biases 0, scales 1.
    if (!(isHead(path) || fit.fresh.has(path)) || parameter.shape.length < 2) continue;
    noGrad(() => {
      using fresh = options.init.normal(parameter.shape, options.std, parameter.dtype as ParameterType);
      parameter.copy_(fresh);
    });
  }
}

/**
 * Every parameter and every constant of a model under Hugging Face's name.
 *
 * @param leftOut  Paths that are not asked for.
 * @throws ERR_MODEL_WEIGHTS for one that has no name there
 */
export function underTheirNames(
  model: PretrainedModel,
  origin: Origin,
  leftOut: ReadonlySet<string> = new Set(),
): Map<string, [path: string, tensor: Tensor]> {
  const rules = namesOf(origin);
  const named = new Map<string, [string, Tensor]>();
  for (const [path, parameter] of [...model.namedParameters(), ...model.constants()]) {
    if (leftOut.has(path)) continue;
    const name = theirName(rules, path);
    if (name === null) {
      raise(
        'ERR_MODEL_WEIGHTS',
        `${path} has no name in ${origin.family.modelType} checkpoints. Added layers are kept by themselves: models.saveWeights.`,
      );
    }
    named.set(name, [path, parameter]);
  }
  return named;
}

const isHead = (path: string): boolean => !path.startsWith('backbone.');

class Fit {
  /** Paths outside the head that start afresh with it. */
  readonly fresh = new Set<string>();
  readonly #expected: Map<string, [path: string, tensor: Tensor]>;
  readonly #family: Family;
  readonly #row: TaskRow;
  readonly #bare: boolean;
  readonly #filled = new Set<string>();
  readonly #duplicates = new Map<string, string>();
  readonly #problems = {
    missing: [] as string[],
    extra: [] as string[],
    shape: [] as string[],
    unequal: [] as string[],
  };

  constructor(
    model: PretrainedModel,
    origin: Origin,
    private readonly newHead: boolean,
  ) {
    this.#expected = underTheirNames(model, origin);
    this.#family = origin.family;
    this.#row = origin.family.tasks[origin.task] as TaskRow;
    this.#bare = this.#row.names.length === 0;
    for (const [duplicate, original] of this.#row.duplicates ?? []) {
      if (!this.#expected.has(duplicate)) this.#duplicates.set(duplicate, original);
    }
  }

  take(tensors: ReadonlyMap<string, Tensor>): void {
    const names = [...tensors.keys()].map((name) => [name, this.#present(name)] as const);
    // Duplicates last, so that they are what is found to differ.
    const rank = ([, present]: readonly [string, string]): number => Number(this.#duplicates.has(present));
    for (const [name, present] of names.sort((a, b) => rank(a) - rank(b)))
      this.#one(present, tensors.get(name) as Tensor, name);
  }

  finish(folder: string): void {
    for (const name of this.#expected.keys()) if (!this.#filled.has(name)) this.#expectFilled(name);
    const { missing, extra, shape, unequal } = this.#problems;
    const parts = [
      ['missing', missing],
      ['not of this model', extra],
      ['of another shape', shape],
      ['different from the tensor that it should repeat', unequal],
    ] as const;
    const found = parts.filter(([, list]) => list.length > 0);
    if (found.length === 0) return;
    const lists = found.map(([what, list]) => `\n  ${list.length} ${what}: ${list.sort().join(', ')}`);
    raise(
      'ERR_MODEL_WEIGHTS',
      `${folder}: the weights are not those of ${this.#row.architecture} as its config.json describes it:${lists.join('')}` +
        (this.newHead
          ? ''
          : '\nA checkpoint of another task is read with newHead: true, which starts the head afresh.'),
    );
  }

  /** The name as files of this task have it today: bare backbones get their prefix, and lose it where the task is bare. */
  #present(name: string): string {
    const { rename, prefix, names } = this.#family;
    const spelt = rename?.(name) ?? name;
    if (this.#bare) return spelt.startsWith(prefix) ? spelt.slice(prefix.length) : spelt;
    if (spelt.startsWith(prefix)) return spelt;
    return isTheirs(names, spelt) || this.#isBuffer(spelt) ? prefix + spelt : spelt;
  }

  #one(name: string, tensor: Tensor, given: string): void {
    const original = this.#duplicates.get(name);
    const expected = this.#expected.get(original ?? name);
    if (expected === undefined) {
      if (!this.#isBuffer(name) && !this.#isDropped(name)) this.#problems.extra.push(`${given} ${shapeOf(tensor)}`);
      return;
    }
    const [path, parameter] = expected;
    if (this.newHead && isHead(path)) return;
    const target = original ?? name;
    if (shapeOf(parameter) !== shapeOf(tensor)) {
      this.#problems.shape.push(`${given} ${shapeOf(tensor)} instead of ${shapeOf(parameter)}`);
    } else if (!this.#filled.has(target)) {
      parameter.copy_(tensor);
    } else if (!parameter.equal(tensor.to(parameter.dtype))) {
      this.#problems.unequal.push(given);
    }
    this.#filled.add(target);
  }

  #expectFilled(name: string): void {
    const [path, parameter] = this.#expected.get(name) as [string, Tensor];
    if ((this.newHead && isHead(path)) || this.#row.optional?.includes(path) === true) return;
    if (this.newHead && this.#row.poolers?.includes(path.slice(0, path.lastIndexOf('.'))) === true)
      return void this.fresh.add(path);
    this.#problems.missing.push(`${name} ${shapeOf(parameter)}`);
  }

  #isBuffer(name: string): boolean {
    const { buffers, prefix } = this.#family;
    const bare = name.startsWith(prefix) ? name.slice(prefix.length) : name;
    return buffers.some((buffer) => buffer.test(bare));
  }

  /** Heads of other tasks, where the caller said that the head of the file is not wanted, or the model has none. */
  #isDropped(name: string): boolean {
    if (!this.newHead && !this.#bare) return false;
    return Object.values(this.#family.tasks).some(
      ({ names, duplicates = [] }) => isTheirs(names, name) || duplicates.some(([duplicate]) => duplicate === name),
    );
  }
}

function shapeOf(tensor: Tensor): string {
  return `[${tensor.shape.join(', ')}]`;
}
