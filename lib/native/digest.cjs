// A digest of files, for telling whether something was made from what lies there now. Plain JavaScript: builds need it before anything is compiled.
'use strict';

const { createHash } = require('node:crypto');
const { existsSync, readdirSync, readFileSync, statSync } = require('node:fs');
const { join } = require('node:path');

function* filesBelow(path) {
  if (!existsSync(path)) return;
  if (statSync(path).isFile()) yield path;
  else for (const name of readdirSync(path).sort()) yield* filesBelow(join(path, name));
}

/** A digest of the contents of `paths` (files and folders, relative to `root`) and of the strings `facts`. */
function digestBelow(root, paths, facts = []) {
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

/** What the CUDA plugin is made of. */
const PLUGIN_SOURCES = ['csrc/cuda', 'csrc/shared', 'scripts/build-cuda.mjs', 'scripts/nvcc.mjs'];

module.exports = { digestBelow, PLUGIN_SOURCES };
