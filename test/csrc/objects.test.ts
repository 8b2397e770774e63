// What the compiled files need and offer, read with nm from the build of this checkout.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { findLibtorch, nativeFiles, PACKAGE_ROOT } from '../../lib/native';

const { loader, core } = nativeFiles();
const lib = join(findLibtorch().root, 'lib');

function nm(...args: string[]): string[][] {
  const text = execFileSync('nm', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  return text.split('\n').map((line) => line.trim().split(/\s+/));
}

const plain = (row: string[]): string => row.at(-1)!.replace(/@.*/, '');
// Weak ones (w) may stay undefined.
const undefinedIn = (file: string): string[] =>
  nm('-D', '--undefined-only', file)
    .filter((row) => row.includes('U'))
    .map(plain);
const definedIn = (file: string): string[] => nm('-D', '--defined-only', file).map(plain);

function neededBy(file: string): string[] {
  const text = execFileSync('readelf', ['-d', file], { encoding: 'utf8' });
  return [...text.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map((match) => match[1]!);
}

const SYSTEM = /^(libstdc\+\+|libm|libgcc_s|libc|libdl|libpthread|ld-linux-x86-64)\.so/;

test('the loader needs no LibTorch, so that it opens everywhere', () => {
  expect(neededBy(loader).filter((name) => !SYSTEM.test(name))).toEqual([]);
});

test('the core needs libtorch_cpu and libc10 only, and names no folder', () => {
  expect(
    neededBy(core)
      .filter((name) => !SYSTEM.test(name))
      .sort(),
  ).toEqual(['libc10.so', 'libtorch_cpu.so']);
  expect(execFileSync('readelf', ['-d', core], { encoding: 'utf8' })).not.toMatch(/RPATH|RUNPATH/);
});

test('everything that the core takes from LibTorch is in the libraries that we open', () => {
  const offered = new Set([
    ...definedIn(join(lib, 'libtorch_cpu.so')),
    ...definedIn(join(lib, 'libc10.so')),
    ...definedIn(core),
  ]);
  const torch = undefinedIn(core).filter((name) => /^_Z\w*(2at|3c10|5torch|6caffe2)\d/.test(name));
  expect(torch.length).toBeGreaterThan(50);
  expect(torch.filter((name) => !offered.has(name))).toEqual([]);
});

test("the core runs loops on LibTorch's threads: it asks for OpenMP, and brings no second copy of it", () => {
  expect(undefinedIn(core)).toContain('GOMP_parallel');
  expect(neededBy(core).filter((name) => name.includes('gomp'))).toEqual([]);
});

test('the core exports no function of ours but its registration', () => {
  const ours = definedIn(core).filter((name) => name.includes('phantomgrad') || name.startsWith('napi_'));
  expect(ours).toEqual(['napi_register_module_v1']);
});

// A template that is compiled for AVX-512 and shared by name would be run on every machine: the linker keeps any copy.
test.each(['avx512', 'avx2'])('kernel objects for %s share no code with the rest', (isa) => {
  const folder = join(PACKAGE_ROOT, '.cmake', 'CMakeFiles', `phantomgrad_${isa}.dir`, 'csrc', 'cpu');
  expect(existsSync(folder)).toBe(true);
  const objects = readdirSync(folder).filter((name) => name.endsWith('.o'));
  expect(objects.length).toBeGreaterThan(0);
  for (const object of objects) {
    const shared = nm(join(folder, object)).filter(([, kind]) => kind !== undefined && 'WVu'.includes(kind));
    const foreign = shared
      .map((row) => row.at(-1)!)
      .filter((name) => !name.includes(isa) && !name.startsWith('DW.ref.'));
    expect({ object, foreign }).toEqual({ object, foreign: [] });
  }
});
