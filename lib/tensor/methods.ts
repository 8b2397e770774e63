// Gives the Tensor prototype one method for every aten operator whose first argument is a tensor.

import { operator } from './call';

/** «masked_fill_» to «maskedFill_»: the underscore of an in-place operator stays. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Adds the methods that `prototype` does not define by hand. `names` are aten names without the namespace. */
export function installMethods(prototype: object, names: Iterable<string>): void {
  for (const name of new Set(names)) {
    const method = camelCase(name);
    if (method in prototype) continue;
    const call = operator(`aten::${name}`);
    Object.defineProperty(prototype, method, {
      // The tensor is the operator's first argument, whatever its schema calls it.
      value: function (this: unknown, ...args: unknown[]) {
        return call(this, ...args);
      },
      writable: true,
      configurable: true,
    });
  }
}
