// Formats csrc/ with the pinned clang-format, which it fetches on first use. With --check: only reports.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { main, run } from './shell.mjs';
import { root } from './stamp.mjs';
import { fetchTool } from './tools.mjs';

await main(async () => {
  const clangFormat = await fetchTool('clang-format');
  const files = readdirSync(join(root, 'csrc'), { recursive: true }).filter((name) => /\.(cc|h|cu|cuh)$/.test(name));
  const mode = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i'];
  await run(clangFormat, [...mode, '--style=file', ...files.map((name) => join(root, 'csrc', name))]);
});
