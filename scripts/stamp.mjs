// Remembers what a step was made from, so that a later run with the same inputs does nothing.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const { digestBelow } = createRequire(import.meta.url)('../lib/native/digest.cjs');

export const root = resolve(import.meta.dirname, '..');

/** Our own folder in a checkout: stamps, locks, private tools. */
export const setupFolder = join(root, '.setup');

/** A digest of the contents of `paths` (files and folders, relative to the root) and of the strings `facts`. */
export const digestOf = (paths, facts = []) => digestBelow(root, paths, facts);

/** The stamp of a step as an object, or null when the step has never been finished. */
export function readStamp(name) {
  try {
    return JSON.parse(readFileSync(join(setupFolder, `${name}.json`), 'utf8'));
  } catch {
    return null;
  }
}

export function writeStamp(name, stamp) {
  const file = join(setupFolder, `${name}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(stamp, null, 2)}\n`);
}

/** Called before a step runs: a step that fails half-way must not look finished. */
export function dropStamp(name) {
  rmSync(join(setupFolder, `${name}.json`), { force: true });
}
