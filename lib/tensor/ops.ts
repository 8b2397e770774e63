// torch.ops.<namespace>.<operator>: every operator that LibTorch's dispatcher knows, ours among them.

import type { AtenOps, PhantomgradOps } from '../../types/ops';
import { raise } from '../errors';
import { operator, suggest } from './call';
import { core } from './native';
import type { Tensor } from './tensor';

/**
 * Operators by namespace. Arguments by position, then perhaps one plain object of keywords, as in the schema:
 * `torch.ops.aten.add(a, b, { alpha: 2 })`. Other libraries' operators: augment this interface.
 */
export interface TorchOps {
  readonly aten: AtenOps<Tensor>;
  readonly phantomgrad: PhantomgradOps<Tensor>;
}

type OperatorFunction = (...args: unknown[]) => unknown;

// What consoles, promises and test runners ask any object for.
const NOT_NAMES: ReadonlySet<string> = new Set([
  'then',
  'toJSON',
  'constructor',
  'asymmetricMatch',
  '$$typeof',
  'nodeType',
]);

function namespace(name: string): object {
  return new Proxy<Record<string, OperatorFunction>>(Object.create(null) as Record<string, OperatorFunction>, {
    get(known, key) {
      if (typeof key === 'symbol') return undefined;
      const found = known[key];
      if (found !== undefined || NOT_NAMES.has(key)) return found;
      const full = `${name}::${key}`;
      if (core().operator(full) === undefined) {
        raise('ERR_INVALID_ARGUMENT', `there is no operator ${full}.${suggest(full)}`);
      }
      return (known[key] = operator(full));
    },
    has: (_, key) => typeof key === 'string' && core().operator(`${name}::${key}`) !== undefined,
    ownKeys: () =>
      core()
        .operatorNames()
        .filter((full) => full.startsWith(`${name}::`))
        .map((full) => full.slice(name.length + 2)),
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  });
}

export const ops: TorchOps = new Proxy<Record<string, object>>(Object.create(null) as Record<string, object>, {
  get(known, key) {
    if (typeof key === 'symbol' || NOT_NAMES.has(key)) return undefined;
    return (known[key] ??= namespace(key));
  },
}) as unknown as TorchOps;
