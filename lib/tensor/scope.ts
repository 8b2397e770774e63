// Scopes own the tensors that are made while they are open, and free them when they close.

import { types } from 'node:util';

import * as check from '../check';
import { raise } from '../errors';
import type { Tensor } from './tensor';

// Node 20 has no Symbol.dispose; `using`, lowered by the compiler, looks for this very property.
(Symbol as { dispose?: symbol }).dispose ??= Symbol('Symbol.dispose');

let innermost: Scope | undefined;

function visit(value: unknown, seen: Set<object>, found: (tensor: Tensor) => void): void {
  if (typeof value !== 'object' || value === null || seen.has(value) || ArrayBuffer.isView(value)) return;
  seen.add(value);
  if (hooks.isTensor(value)) found(value);
  else if (types.isMap(value)) {
    for (const [key, item] of value) {
      visit(key, seen, found);
      visit(item, seen, found);
    }
  } else if (Array.isArray(value) || types.isSet(value)) {
    for (const item of value) visit(item, seen, found);
  } else {
    for (const item of Object.values(value)) visit(item, seen, found);
  }
}

/** What Tensor lets this file see of its privates. A flag in the object: a WeakSet would double the cost of a scope. */
interface TensorHooks {
  isTensor(value: object): value is Tensor;
  isKept(tensor: Tensor): boolean;
  markKept(tensor: Tensor): void;
}

let hooks: TensorHooks;

/** @internal Tensor calls this once; this file must not import it. */
export function setTensorHooks(given: TensorHooks): void {
  hooks = given;
}

/** Makes `next` the scope that owns new tensors; returns the one before. */
function enter(next: Scope | undefined): Scope | undefined {
  const before = innermost;
  innermost = next;
  return before;
}

/**
 * Owns tensors and frees them when it closes. Close it with `using`, or with `close()`.
 *
 * @example { using s = scope(); const a = x.mul(2); result = s.keep(a.sum()); }   // a is freed here, result is not
 */
export class Scope {
  readonly #outer: Scope | undefined;
  #tensors: Tensor[] = [];
  #open = true;

  /** @internal Use {@link scope}, {@link tidy} or {@link tidyAsync}. */
  constructor(outer: Scope | undefined) {
    this.#outer = outer;
  }

  /** Hands `tensor` to this scope. */
  track<T extends Tensor>(tensor: T): T {
    if (!this.#open) raise('ERR_INVALID_ARGUMENT', 'Scope.track: the scope is closed.');
    this.#tensors.push(tensor);
    return tensor;
  }

  /**
   * Takes the tensors in `value` (a tensor, or arrays, maps and objects of them) out of this scope, to the surrounding
   * one.
   */
  keep<T>(value: T): T {
    const out = new Set<Tensor>();
    visit(value, new Set(), (tensor) => out.add(tensor));
    if (out.size === 0) return value;
    const mine: Tensor[] = [];
    for (const tensor of this.#tensors) {
      if (!out.has(tensor)) mine.push(tensor);
      else if (this.#outer !== undefined) this.#outer.#tensors.push(tensor);
    }
    this.#tensors = mine;
    return value;
  }

  /**
   * Runs the synchronous `body`; what it makes belongs to this scope, what it returns too.
   * @throws ERR_INVALID_ARGUMENT if it returns a promise
   */
  run<T>(body: () => T): T {
    if (!this.#open) raise('ERR_INVALID_ARGUMENT', 'Scope.run: the scope is closed.');
    const before = enter(this);
    try {
      return refusePromise('Scope.run', body());
    } finally {
      enter(before);
    }
  }

  /** Frees everything that is still owned, and closes scopes left open inside this one. Closing twice is allowed. */
  close(): void {
    if (!this.#open) return;
    while (innermost !== undefined && innermost !== this && innermost.#isInside(this)) innermost.close();
    this.#open = false;
    if (innermost === this) enter(this.#outer);
    for (const tensor of this.#tensors) if (!hooks.isKept(tensor)) tensor.dispose();
    this.#tensors = [];
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #isInside(other: Scope): boolean {
    const outer = this.#outer;
    return outer !== undefined && (outer === other || outer.#isInside(other));
  }
}

function refusePromise<T>(operation: string, value: T): T {
  if (typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function') {
    // The promise's own failure would otherwise be reported as unhandled, and hide this one.
    void Promise.resolve(value).catch(() => undefined);
    raise(
      'ERR_INVALID_ARGUMENT',
      `${operation}: the function returned a promise; use tidyAsync, whose scope outlives an await.`,
    );
  }
  return value;
}

/** @internal Every new tensor passes here. */
export function trackInnermost(tensor: Tensor): void {
  if (innermost !== undefined) innermost.track(tensor);
}

/**
 * Takes a tensor out of every scope for good: it lives until `dispose()`, or until it is collected. Parameters are
 * kept from birth.
 */
export function keep<T extends Tensor>(tensor: T): T {
  if (!(typeof tensor === 'object' && tensor !== null && hooks.isTensor(tensor)))
    check.able('keep', { tensor }, 'dispose', 'a tensor');
  hooks.markKept(tensor);
  return tensor;
}

/**
 * Opens a scope that owns every tensor made until it closes. Close it in the same synchronous stretch; see {@link
 * tidyAsync}.
 */
export function scope(): Scope {
  const own = new Scope(innermost);
  enter(own);
  return own;
}

/**
 * Runs `body` and frees every tensor that it made, except those it returns (a tensor, or arrays, maps, sets and objects
 * of them) and those given to {@link keep}. What it returns belongs to the surrounding scope.
 *
 * @throws ERR_INVALID_ARGUMENT if `body` returns a promise
 */
export function tidy<T>(body: () => T): T {
  check.callable('tidy', { body });
  const own = scope();
  try {
    return own.keep(refusePromise('tidy', body()));
  } finally {
    own.close();
  }
}

/**
 * {@link tidy} across awaits. A global stack cannot follow asynchronous code, so the scope is handed over:
 * only what is made inside `scope.run(…)` or given to `scope.track(…)` belongs to it.
 *
 * @example await tidyAsync(async (scope) => { const a = scope.run(() => x.mul(2)); await save(a); return scope.run(()
 * => a.sum()); })
 */
export async function tidyAsync<T>(body: (scope: Scope) => Promise<T>): Promise<T> {
  check.callable('tidyAsync', { body });
  const own = new Scope(undefined);
  try {
    return own.keep(await body(own));
  } finally {
    own.close();
  }
}
