// What config.json says, read field by field with the family's defaults.

import { raise } from '../../errors';

export type Json = Readonly<Record<string, unknown>>;

// Layers are made one by one: a slip in this number would fill the memory with them before any tensor is asked for.
const LAYERS = /(^|_)layers?$/;
const MOST_LAYERS = 10_000;

/** Reads the fields of a configuration. Every error names the file and the field. */
export class ConfigReader {
  /** @param file  For messages. */
  constructor(
    readonly raw: Json,
    readonly file: string,
  ) {}

  /** @throws ERR_MODEL_CONFIG */
  refuse(what: string): never {
    return raise('ERR_MODEL_CONFIG', `${this.file}: ${what}.`);
  }

  /** A whole number of at least `least`. Without a default the field must be there. */
  integer(name: string, fallback?: number, least = 1): number {
    const value = this.#value(name, fallback);
    const most = LAYERS.test(name) ? MOST_LAYERS : Infinity;
    if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
    return this.#wrong(
      name,
      `a whole number of at least ${least}${most === Infinity ? '' : `, at most ${most}`}`,
      value,
    );
  }

  /** A whole number, or null where the field is null or absent. */
  optionalInteger(name: string): number | null {
    return (this.raw[name] ?? null) === null ? null : this.integer(name, undefined, 0);
  }

  /** A finite number. */
  number(name: string, fallback?: number): number {
    const value = this.#value(name, fallback);
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    return this.#wrong(name, 'a finite number', value);
  }

  /** A number in [0, 1): how much is dropped while training. */
  probability(name: string, fallback?: number): number {
    const value = this.number(name, fallback);
    return value >= 0 && value < 1 ? value : this.#wrong(name, 'at least 0 and below 1', value);
  }

  boolean(name: string, fallback?: boolean): boolean {
    const value = this.#value(name, fallback);
    return typeof value === 'boolean' ? value : this.#wrong(name, 'true or false', value);
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], fallback?: T): T {
    const value = this.#value(name, fallback);
    if (allowed.includes(value as T)) return value as T;
    return this.#wrong(name, `one of ${allowed.map((entry) => JSON.stringify(entry)).join(', ')}`, value);
  }

  /** The fields inside an object; null where it is null or absent. */
  object(name: string): ConfigReader | null {
    const value = this.raw[name] ?? null;
    if (value === null) return null;
    return isObject(value) ? new ConfigReader(value, `${this.file}: ${name}`) : this.#wrong(name, 'an object', value);
  }

  /** Refuses anything but `value`, which is also the default: other values mean a model that is not built here. */
  only(name: string, value: boolean | number | string | null): void {
    const given = this.raw[name] ?? value;
    if (given !== value)
      this.refuse(`${name} = ${JSON.stringify(given)} is not supported, only ${JSON.stringify(value)}`);
  }

  /** How many classes: as many as `id2label` has, or `num_labels`, or two. */
  get labels(): number {
    const names = this.raw.id2label;
    return isObject(names) ? Object.keys(names).length : this.integer('num_labels', 2);
  }

  #value(name: string, fallback: unknown): unknown {
    const value = this.raw[name] ?? fallback;
    return value === undefined ? this.refuse(`${name} is missing`) : value;
  }

  #wrong(name: string, expected: string, value: unknown): never {
    return this.refuse(`${name} must be ${expected}, got ${JSON.stringify(value)}`);
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
