// Builds a checkout: TypeScript to dist/, the native files, and with --cuda the kernels for NVIDIA GPUs.
//
// Usage: npm run build -- [--cuda] [the options of scripts/build-native.mjs]
import { parseArgs } from 'node:util';

import { PLUGIN, stalePlugin } from './build-cuda.mjs';
import { buildNative, OPTIONS } from './build-native.mjs';
import { buildTypeScript } from './build-ts.mjs';
import { main } from './shell.mjs';

const { values } = parseArgs({ options: OPTIONS });
await main(async () => {
  await buildTypeScript();
  await buildNative(values);
  if (!values.cuda && stalePlugin())
    console.error(`build/Release/${PLUGIN} is of other sources than csrc/cuda holds now: npm run build -- --cuda`);
});
