// Where a law of a kernel runs: on the host executor, built here by a C++ compiler, or on a GPU with the plugin itself.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

import { findLibtorch } from '../../../lib/native';
import { type Tensor, torch } from '../../../lib/tensor';
import { core } from '../../../lib/tensor/native';

const ROOT = join(__dirname, '..', '..', '..');
const HOST = join(__dirname, 'host');
const COMPILER = process.env.CXX ?? 'c++';

type Operators = Record<string, (...args: unknown[]) => unknown>;

/** What a law needs to know of its place. */
export interface Kit {
  readonly name: string;
  /** The plugin's operators, `phantomgrad_cuda`. */
  readonly kernels: Operators;
  /** The tensor where kernels read it. */
  readonly on: (t: Tensor) => Tensor;
  /** The tensor where JavaScript reads it. */
  readonly back: (t: Tensor) => Tensor;
  /** The ways to run a kernel that must all give the same bits: orders of threads on the host, repetitions on a GPU. */
  readonly ways: readonly (<T>(body: () => T) => T)[];
  /** Digests of results by the name of their law, in order: what two kits must agree on. */
  readonly trace: Map<string, string[]>;
}

const operators = (namespace: string): Operators => (torch.ops as unknown as Record<string, Operators>)[namespace]!;

// A plain library is no Node module: Node opens it, finds nothing to register, and says so. It stays open (-z nodelete).
function open(path: string, flags = constants.dlopen.RTLD_LAZY): void {
  core();
  try {
    process.dlopen({ exports: {} }, path, flags);
  } catch (error) {
    if (!/self-register/.test((error as Error).message)) throw error;
  }
}

const sources = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => /\.(h|cc|cu)$/.test(name))
    .map((name) => join(folder, name));

/** Why the host executor cannot be built here, or null. */
export function hostMissing(): string | null {
  const { status } = spawnSync(COMPILER, ['--version']);
  if (status !== 0) return `${COMPILER} does not run: no C++ compiler`;
  const header = join(findLibtorch().root, 'include', 'torch', 'csrc', 'stable', 'library.h');
  return existsSync(header) ? null : `${header} does not exist: this LibTorch has no headers`;
}

function build(): string {
  const libtorch = findLibtorch().root;
  const flags = [
    ...['-std=c++20', '-O1', '-march=native', '-ffp-contract=off', '-fPIC', '-fvisibility=hidden', '-shared', '-w'],
    ...[
      '-DPG_NAMESPACE=phantomgrad_host',
      '-DPG_DISPATCH_KEY=CPU',
      '-DPG_ISA=baseline',
      '-DTORCH_TARGET_VERSION=0x020B000000000000',
      '-Wl,-z,nodelete',
    ],
    ...['-I', join(ROOT, 'csrc'), '-I', HOST, '-isystem', join(libtorch, 'include')],
  ];
  const hash = createHash('sha256').update(JSON.stringify([COMPILER, flags]));
  for (const folder of [HOST, ...['cuda', 'shared', 'cpu'].map((name) => join(ROOT, 'csrc', name))])
    for (const file of sources(folder)) hash.update(readFileSync(file));
  const folder = join(ROOT, '.setup', 'cuda-host');
  const library = join(folder, `libkernels-${hash.digest('hex').slice(0, 16)}.so`);
  if (existsSync(library)) return library;
  mkdirSync(folder, { recursive: true });
  const part = `${library}.${process.pid}.part`;
  const { status, stderr } = spawnSync(COMPILER, [...flags, join(HOST, 'library.cc'), '-o', part], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the kernels do not compile for the host:\n${stderr}`);
  renameSync(part, library);
  return library;
}

/** The kernels on the host executor. */
export function hostKit(): Kit {
  open(build());
  const host = operators('phantomgrad_host');
  const inOrder =
    (order: number) =>
    <T>(body: () => T): T => {
      const before = host.thread_order!(order);
      try {
        return body();
      } finally {
        host.thread_order!(before);
      }
    };
  return {
    name: 'host executor',
    kernels: host,
    on: (t) => t,
    back: (t) => t,
    ways: [0, 1, 2].map(inOrder),
    trace: new Map(),
  };
}

/** The plugin beside the core of this checkout. */
export const PLUGIN = join(ROOT, 'build', 'Release', 'libphantomgrad_cuda.so');

const cudaLibraries = (): string[] =>
  ['libc10_cuda.so', 'libtorch_cuda.so'].map((name) => join(findLibtorch().root, 'lib', name));

/** Why no kernel can run on a GPU here, or null. */
export function gpuMissing(): string | null {
  const { status, stdout } = spawnSync('nvidia-smi', ['-L'], { encoding: 'utf8' });
  if (status !== 0 || !/GPU 0/.test(stdout)) return 'nvidia-smi lists no GPU';
  const absent = [...cudaLibraries(), PLUGIN].find((path) => !existsSync(path));
  return absent === undefined ? null : `${absent} does not exist`;
}

/** The kernels on the first GPU. */
export function gpuKit(): Kit {
  for (const library of cudaLibraries()) open(library, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL);
  open(PLUGIN, constants.dlopen.RTLD_NOW);
  const copy = (t: Tensor, device: string): Tensor => operators('aten')._to_copy!(t, { device }) as Tensor;
  const plainly = <T>(body: () => T): T => body();
  return {
    name: 'GPU',
    kernels: operators('phantomgrad_cuda'),
    on: (t) => copy(t, 'cuda:0'),
    back: (t) => copy(t, 'cpu'),
    ways: [plainly, plainly, plainly],
    trace: new Map(),
  };
}

/** Opens the plugin without a GPU: its functions are bound when they are called, so its schemas can be read. */
export function openPlugin(): void {
  open(PLUGIN);
}
