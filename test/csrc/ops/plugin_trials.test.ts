// Kernels are tried before they are believed: one that does nothing switches its family off, with a warning, and norms stay right.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { torch } from '../../../lib/tensor';
import { doubles, numbers } from '../cuda/arrays';
import { hostKit, hostMissing } from '../cuda/kit';
import { BUDGETS } from '../cuda/registers';
import { ints } from './book';
import { Random } from './random';

const ops = torch.ops.phantomgrad;
const missing = hostMissing();

/** Every kernel, by the family that cannot do without it. */
const KERNELS: Readonly<Record<string, readonly string[]>> = {
  'private update': ['PrivateAdam', 'Privatise'],
  'stored gradients': ['StoredNorm', 'StoredSum'],
  embeddings: ['IndexNorm', 'IndexBound', 'IndexSum'],
  'norm layers': ['NormBackward'],
  'linear layers': ['GhostGram', 'GhostDirect', 'RowProducts', 'DenseNorm', 'ClippedSum', 'AddSplits'],
  'softmax head': [
    ...['HeadStatistics', 'HeadLoss', 'HeadHidden', 'SumParts', 'HeadBias', 'HeadNorm', 'RowNormSum'],
    ...['PhantomCross', 'TableNorm', 'HeadTable'],
  ],
  attention: ['AttentionForward', 'AttentionBackward'],
};

const SCRIPT = `require('./test/fixtures/typescript.cjs');
  const { hostKit } = require('./test/csrc/cuda/kit.ts');
  const { torch } = require('./lib/tensor');
  const ops = torch.ops.phantomgrad;
  hostKit().kernels.break_kernel('StoredNorm');
  ops.ask_host_plugin(true);
  ops.plugin_try('cpu', { family: 'stored gradients' });`;

if (missing === null) {
  const { kernels } = hostKit();

  test('the table above names every kernel of the plugin', () => {
    const named = new Set(Object.values(KERNELS).flat());
    expect([...named].sort()).toEqual([...new Set(Object.keys(BUDGETS).map((one) => one.replace(/<.*/, '')))].sort());
  });

  describe('a kernel that does nothing', () => {
    beforeAll(() => ops.ask_host_plugin(true));
    beforeEach(() => ops.plugin_forget());
    afterEach(() => kernels.break_kernel!(''));
    afterAll(() => {
      ops.plugin_forget();
      ops.ask_host_plugin(false);
    });

    test.each(Object.entries(KERNELS))('switches off %s, whichever of its kernels it is', (family, names) => {
      for (const kernel of names) {
        kernels.break_kernel!(kernel);
        ops.plugin_forget();
        const off = ops.plugin_try('cpu', { family }).filter((line) => line.includes('OFF'));
        expect([kernel, off.length, off[0]?.startsWith(family)]).toEqual([kernel, 1, true]);
      }
    });

    test('norms are those of LibTorch then', () => {
      const draw = new Random(5);
      const [a, g] = [doubles(draw.normals(60), [10, 6]), doubles(draw.normals(40), [10, 4])];
      const norms = (): Float64Array => numbers(ops.ghost_norm(a, g, ints([0, 3, 3, 10]))[0]);
      const own = norms();
      expect(ops.plugin_report().join()).toMatch(/linear layers: [1-9]\d* calls; cpu in use/);
      ops.plugin_forget();
      kernels.break_kernel!('DenseNorm');
      const others = norms();
      expect(ops.plugin_report().join()).toMatch(/linear layers: 0 calls; cpu OFF: Float: /);
      others.forEach((norm, b) => expect(norm).toBeCloseTo(own[b]!, 12));
    });
  });

  test('every family agrees where no kernel is broken', () => {
    ops.ask_host_plugin(true);
    try {
      ops.plugin_forget();
      for (const line of ops.plugin_try('cpu')) expect(line).toMatch(/: 0 calls; cpu in use$/);
    } finally {
      ops.ask_host_plugin(false);
    }
  });

  test('a plugin that speaks another version of the interface is refused, and says what to do', () => {
    const own = kernels.speak!(0);
    ops.ask_host_plugin(true);
    ops.plugin_forget();
    try {
      const call = (): unknown => ops.ghost_norm(doubles([1, 2], [1, 2]), doubles([3], [1, 1]), ints([0, 1]));
      const expected = {
        code: 'ERR_NATIVE_LOAD',
        message: expect.stringMatching(/interface 0,.*npm run build -- --cuda/),
      };
      expect(call).toThrow(expect.objectContaining(expected));
      kernels.speak!(own);
      expect(call).not.toThrow();
    } finally {
      kernels.speak!(own);
      ops.ask_host_plugin(false);
    }
  });

  test('the warning names the family, the device and what to expect', () => {
    const { stderr, status } = spawnSync(process.execPath, ['-e', SCRIPT], {
      cwd: join(__dirname, '..', '..', '..'),
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stderr).toMatch(/plugin for stored gradients do not agree with LibTorch on cpu: .*switched off/);
    expect(stderr.match(/switched off/g)).toHaveLength(1);
  });

  test('PHANTOMGRAD_KERNELS=generic leaves no kernel in use, and neither does a device without a plugin', () => {
    ops.plugin_forget();
    ops.prefer_any_device(true);
    try {
      for (const line of ops.plugin_try('cpu')) expect(line).toMatch(/: 0 calls$/);
    } finally {
      ops.prefer_any_device(false);
    }
  });
} else {
  console.warn(`SKIPPED: trials of the CUDA plugin's kernels. ${missing}.`);
  test.skip(`0 trials of the plugin's kernels ran: ${missing}`, () => undefined);
}
