// Remembers what a step was made from, so that a later run with the same inputs does nothing.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '..');

/** Our own folder in a checkout: stamps, locks, private tools. */
export const setupFolder = join(root, '.setup');

function* filesBelow(path) {
  if (!existsSync(path)) return;
  if (statSync(path).isFile()) yield path;
  else for (const name of readdirSync(path).sort()) yield* filesBelow(join(path, name));
}

/** A digest of the contents of `paths` (files and folders, relative to the root) and of the strings `facts`. */
export function digestOf(paths, facts = []) {
  const hash = createHash('sha256');
  for (const fact of facts) hash.update(`${fact}\0`);
  for (const file of paths.flatMap((path) => [...filesBelow(join(root, path))])) {
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

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
