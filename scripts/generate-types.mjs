// Writes types/ops.d.ts from the schemas of the addon in build/Release. Run: npm run generate:types
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { operatorTypes } from './operator-types.mjs';

const root = join(import.meta.dirname, '..');
const library = join(root, 'dist', 'native', 'index.js');

if (!existsSync(library)) {
  console.error('dist/ is missing. Run: npm run setup');
  process.exit(1);
}
// dist/ may be older than lib/: the types must be made before lib/ compiles against them.
const { openNative } = createRequire(import.meta.url)(library);
const { exports: core } = openNative();
const target = join(root, 'types', 'ops.d.ts');
writeFileSync(target, operatorTypes(core));
console.error(`Wrote ${target}`);
