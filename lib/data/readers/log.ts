// The raw log while it is being read: three growing columns of numbers, with users and items numbered as they appear.

import { quote, refuse } from './failure';

/** Gives each distinct id a number from 0, in order of first appearance. */
export class Numbering {
  readonly #numbers = new Map<string, number>();

  constructor(ids: Iterable<string> = []) {
    for (const id of ids) this.numberOf(id);
  }

  get size(): number {
    return this.#numbers.size;
  }

  numberOf(id: string): number {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const next = this.#numbers.size;
    this.#numbers.set(id, next);
    return next;
  }

  find(id: string): number | undefined {
    return this.#numbers.get(id);
  }

  ids(): string[] {
    return [...this.#numbers.keys()];
  }
}

/**
 * Every action of a source in file order: `user[k]`, `item[k]` (numbers of first appearance), `time[k]`.
 * With a catalogue, item numbers are positions in it, and an item outside it is refused where it stands.
 */
export class ActionLog {
  readonly users = new Numbering();
  readonly items: Numbering;
  #user = new Int32Array(1 << 16);
  #item = new Int32Array(1 << 16);
  #time: Float64Array | undefined;
  #size = 0;

  /**
   * @param timed  Whether the source has times; without them the file order is the time order.
   */
  constructor(
    readonly file: string,
    readonly catalogue: readonly string[] | undefined,
    timed: boolean,
  ) {
    this.items = new Numbering(catalogue);
    if (timed) this.#time = new Float64Array(1 << 16);
  }

  get size(): number {
    return this.#size;
  }

  get user(): Int32Array {
    return this.#user.subarray(0, this.#size);
  }

  get item(): Int32Array {
    return this.#item.subarray(0, this.#size);
  }

  get time(): Float64Array | undefined {
    return this.#time?.subarray(0, this.#size);
  }

  /** @throws ERR_DATA_FORMAT when the item is not in the catalogue. */
  add(user: string, item: string, time: number, line: number): void {
    const at = this.#size;
    if (at === this.#user.length) this.#grow();
    this.#user[at] = this.users.numberOf(user);
    this.#item[at] = this.catalogue === undefined ? this.items.numberOf(item) : this.#known(item, line);
    if (this.#time !== undefined) this.#time[at] = time;
    this.#size = at + 1;
  }

  #known(item: string, line: number): number {
    return (
      this.items.find(item) ??
      refuse({ file: this.file, line }, `one of the ${this.items.size} items of the catalogue`, quote(item))
    );
  }

  #grow(): void {
    const length = this.#user.length * 2;
    const wider = <T extends Int32Array | Float64Array>(from: T, to: T): T => (to.set(from), to);
    this.#user = wider(this.#user, new Int32Array(length));
    this.#item = wider(this.#item, new Int32Array(length));
    if (this.#time !== undefined) this.#time = wider(this.#time, new Float64Array(length));
  }
}
