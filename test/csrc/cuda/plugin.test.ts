// The compiled plugin, on a machine without a GPU: what it asks LibTorch for, what it registers, what ptxas says of its kernels.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { core } from '../../../lib/tensor/native';
import { openPlugin, PLUGIN } from './kit';
import { BUDGETS } from './registers';

const LOGS = join(__dirname, '..', '..', '..', '.cmake-cuda', 'CMakeFiles', 'plugin.dir');

interface Compiled {
  readonly kernel: string;
  readonly architecture: string;
  readonly registers: number;
  readonly spilled: number;
}

// ptxas names an entry by its mangled C++ name; the kernel is the identifier that follows its length.
function kernelOf(entry: string): string {
  const [, length, rest] = /^_ZN11phantomgrad4cuda5entryINS0_(\d+)(\w+)$/.exec(entry) ?? [];
  if (length === undefined) throw new Error(`unexpected entry ${entry}`);
  const [, types = ''] = /^I([fd]+)E/.exec(rest!.slice(Number(length))) ?? [];
  const named = Array.from(types, (type) => (type === 'f' ? 'float' : 'double'));
  return rest!.slice(0, Number(length)) + (named.length === 0 ? '' : `<${named.join(', ')}>`);
}

function compiled(): Compiled[] {
  const all: Compiled[] = [];
  for (const name of readdirSync(LOGS).filter((file) => file.endsWith('.log'))) {
    const log = readFileSync(join(LOGS, name), 'utf8');
    const parts = log.split(/Compiling entry function '/).slice(1);
    for (const part of parts) {
      const [, entry, architecture] = /^(\w+)' for '(sm_\d+)'/.exec(part)!;
      const [, stores, loads] = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(part)!;
      const [, registers] = /Used (\d+) registers/.exec(part)!;
      all.push({
        ...{ kernel: kernelOf(entry!), architecture: architecture! },
        ...{ registers: Number(registers), spilled: Number(stores) + Number(loads) },
      });
    }
  }
  return all;
}

if (existsSync(PLUGIN) && existsSync(LOGS)) {
  const kernels = compiled();

  test('the plugin asks LibTorch for C functions only, and links nothing of it', () => {
    const nm = spawnSync('nm', ['-D', '--undefined-only', PLUGIN], { encoding: 'utf8' }).stdout;
    const asked = nm.split('\n').map((line) => line.trim().split(/\s+/).pop()!.split('@')[0]!);
    const cpp = asked.filter((name) => name.startsWith('_Z') && /(torch|c10|at\d|caffe2)/.test(name));
    expect(cpp).toEqual([]);
    expect(asked.filter((name) => /^(aoti_)?torch_/.test(name)).length).toBeGreaterThan(10);
    const needed = spawnSync('readelf', ['-d', PLUGIN], { encoding: 'utf8' }).stdout.match(/NEEDED.*\[(.*)\]/g) ?? [];
    expect(needed.filter((line) => /torch|c10|cuda/.test(line))).toEqual([]);
  });

  test.each(['sm_80', 'sm_90'])('no kernel spills for %s, and each stays within its registers', (architecture) => {
    const own = kernels.filter((one) => one.architecture === architecture);
    // A small kernel that two files use is compiled in both.
    expect([...new Set(own.map(({ kernel }) => kernel))].sort()).toEqual(Object.keys(BUDGETS).sort());
    for (const { kernel, registers, spilled } of own) {
      expect([kernel, spilled]).toEqual([kernel, 0]);
      if (registers > BUDGETS[kernel]!) throw new Error(`${kernel}: ${registers} registers, budget ${BUDGETS[kernel]}`);
    }
  });

  test('the plugin opens without a GPU and registers its operators', () => {
    openPlugin();
    const names = core()
      .operatorNames()
      .filter((name) => name.startsWith('phantomgrad_cuda::'));
    expect(names).toContain('phantomgrad_cuda::private_adam_');
    for (const name of names) {
      const listings = core().schemas(name);
      expect(listings.length).toBe(1);
      expect([name, listings[0]!.unbindable]).toEqual([name, '']);
    }
  });
} else {
  const reason = `${PLUGIN} is not built (npm run build -- --cuda)`;
  console.warn(`SKIPPED: the gates of the CUDA plugin. ${reason}.`);
  test.skip(`0 gates of the CUDA plugin ran: ${reason}`, () => undefined);
}
