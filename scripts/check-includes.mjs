// Who may include whom in csrc/: node -> ops -> cpu -> shared; reference, cuda -> shared; kernels know no LibTorch.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

import { root } from './stamp.mjs';

const LAYERS = {
  shared: [],
  cpu: ['shared'],
  reference: ['shared'],
  cuda: ['shared'],
  ops: ['shared', 'cpu', 'reference'],
  node: ['shared', 'ops'],
};
const TORCH_FREE = new Set(['shared', 'cpu', 'reference']);
const NODE_ONLY = /^(node_api|js_native_api|napi)/;
const TORCH = /^(ATen|torch|c10|caffe2)\//;
// The plugin's edge: C functions and header-only code that are the same in every LibTorch from 2.11 on.
const STABLE = /^torch\/(headeronly|csrc\/stable|csrc\/inductor\/aoti_torch\/c)\//;
const CUDA_EDGE = /^(arguments|launch)\.h$|\.cu$/;

const complaints = [];
for (const [layer, below] of Object.entries(LAYERS)) {
  const folder = join(root, 'csrc', layer);
  for (const name of readdirSync(folder, { recursive: true }).filter((file) => /\.(cc|h|cu|cuh)$/.test(file))) {
    readFileSync(join(folder, name), 'utf8')
      .split('\n')
      .forEach((line, index) => {
        const [, header] = /^\s*#\s*include\s*["<]([^">]+)[">]/.exec(line) ?? [];
        if (header === undefined) return;
        // "js.h" and "../error.h" are relative to the file, "ops/tap.h" to csrc/.
        const path = /^\w+\//.test(header) ? header : normalize(join(layer, dirname(name), header));
        const target = path.split('/')[0];
        const where = `csrc/${layer}/${name}:${index + 1}`;
        if (target in LAYERS && ![layer, ...below].includes(target))
          complaints.push(`${where}: ${layer} must not include ${header}`);
        if (layer === 'cuda' && TORCH.test(header) && !(CUDA_EDGE.test(name) && STABLE.test(header)))
          complaints.push(`${where}: the plugin knows LibTorch's stable interface only, and its kernels not even that`);
        if (TORCH_FREE.has(layer) && (TORCH.test(header) || path === 'error.h'))
          complaints.push(`${where}: ${layer} knows no LibTorch`);
        if (layer !== 'node' && NODE_ONLY.test(header)) complaints.push(`${where}: only node knows Node-API`);
      });
  }
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
