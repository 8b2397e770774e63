// Modules: objects that own parameters and other modules, and can list them by path.

import { raise } from '../errors';
import { checkDevice, noGrad, type Tensor, tidy, torch } from '../tensor';
import { Parameter } from './parameter';

type Named<T> = [path: string, value: T];

const join = (prefix: string, name: string): string => (prefix === '' ? name : `${prefix}.${name}`);

/**
 * Base of every layer and model. Parameters and modules are found where they are assigned: in properties, and in
 * arrays, maps
 * and plain objects in properties. Private `#fields` are invisible; say `private` instead.
 *
 * @example class Scorer extends Module { embed = new Embedding(100, 8); forward(ids: Tensor) { return
 * this.embed.forward(ids).sum(-1); } }
 */
export abstract class Module {
  #training = true;

  /**
   * True while training: dropout drops, and an attached privacy engine records. Set it with {@link train} and {@link
   * eval}.
   */
  get training(): boolean {
    return this.#training;
  }

  /** Switches this module and all inside it to training (or, with false, to evaluation). Returns the module. */
  train(training = true): this {
    for (const [, module] of this.namedModules()) module.#training = training;
    return this;
  }

  /** Switches to evaluation: no dropout. Returns the module. */
  eval(): this {
    return this.train(false);
  }

  /** What this module owns, by name; a container may give other names than its properties have. */
  protected members(): Iterable<Named<unknown>> {
    return Object.entries(this);
  }

  /**
   * Every parameter by dotted path («blocks.0.attention.qkv.weight»). One that is shared is listed once, under its
   * first path.
   */
  *namedParameters(): Generator<Named<Parameter>, void, void> {
    const seen = new Set<unknown>();
    for (const [path, module] of this.namedModules()) {
      for (const [name, value] of leaves(module)) {
        if (!(value instanceof Parameter) || seen.has(value)) continue;
        seen.add(value);
        yield [join(path, name), value];
      }
    }
  }

  /** The parameters of {@link namedParameters}, each once. */
  parameters(): Parameter[] {
    return Array.from(this.namedParameters(), ([, parameter]) => parameter);
  }

  /** Those of {@link parameters} that require a gradient: what an optimizer of a partly frozen model trains. */
  trainableParameters(): Parameter[] {
    return this.parameters().filter(({ requiresGrad }) => requiresGrad);
  }

  /** This module under «», and every module inside it by dotted path, each once. */
  *namedModules(): Generator<Named<Module>, void, void> {
    const seen = new Set<Module>();
    const visit = function* (module: Module, path: string): Generator<Named<Module>, void, void> {
      if (seen.has(module)) return;
      seen.add(module);
      yield [path, module];
      for (const [name, value] of leaves(module)) {
        if (value instanceof Module) yield* visit(value, join(path, name));
      }
    };
    yield* visit(this, '');
  }

  modules(): Module[] {
    return Array.from(this.namedModules(), ([, module]) => module);
  }

  /**
   * Moves every parameter to `device` («cpu», «cuda», «cuda:1»), in place: parameters stay the objects that they were. Before an
   * optimizer takes its first step, and before an engine is attached. Whatever else a model keeps follows its parameters.
   *
   * @returns The module.
   * @throws ERR_DEVICE where the device is not there. @throws ERR_ENGINE_STATE while an engine is attached. Then nothing has moved.
   */
  to(device: string): this {
    checkDevice('to', device);
    const parameters = [...this.namedParameters()];
    for (const [name, parameter] of parameters) {
      if (!torch.ops.phantomgrad.book_owns(parameter)) continue;
      raise('ERR_ENGINE_STATE', `to: an engine is attached to ${name}. Move the model before attach, or detach first.`);
    }
    noGrad(() => {
      tidy(() => {
        // All of them first: where memory runs out, nothing has moved.
        const moved = parameters.map(([, parameter]) => parameter.detach().to(device));
        parameters.forEach(([, parameter], k) => {
          parameter.grad = null;
          torch.ops.aten.set_data(parameter, moved[k] as Tensor);
        });
      });
    });
    return this;
  }

  /** The device of the parameters; «cpu» for a module without any. */
  get device(): string {
    return this.parameters()[0]?.device ?? 'cpu';
  }

  /** Frees all parameters now. The module cannot be used afterwards. */
  dispose(): void {
    for (const parameter of this.parameters()) parameter.dispose();
  }

  /** @internal `members` of another module. */
  static membersOf(module: Module): Iterable<Named<unknown>> {
    return module.members();
  }
}

// The parameters and modules that `module` owns itself, containers opened: «blocks.0», «heads.click».
function* leaves(module: Module): Generator<Named<unknown>, void, void> {
  const open = function* (name: string, value: unknown): Generator<Named<unknown>, void, void> {
    if (value instanceof Module || value instanceof Parameter) {
      yield [name, value];
    } else if (isContainer(value)) {
      const items = value instanceof Map ? value : Object.entries(value);
      for (const [key, item] of items) yield* open(join(name, String(key)), item);
    }
  };
  for (const [name, value] of Module.membersOf(module)) yield* open(name, value);
}

/** @internal A list, map or plain object, in which parameters and modules are looked for. */
export function isContainer(value: unknown): value is Map<unknown, unknown> | Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value) || value instanceof Map) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
