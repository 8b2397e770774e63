// Looks at everything that native calls depend on and says what is wrong, without stopping at the first problem.

import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

import { nativeFiles, openNative } from './addon';
import type { CudaLibraries } from './cuda';
import { describeTrace, searchLibtorch, type Attempt } from './search';
import { cacheFolder } from './places';
import { machineName, thisMachine } from './platform';

export interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly text: string;
}

export interface Diagnosis {
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** Every place of the LibTorch search. */
  readonly trace: readonly Attempt[];
}

// The kernels are compiled for these; the best that the processor has is chosen at run time.
function instructionSet(): string {
  try {
    const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' '));
    const all = (...names: string[]): boolean => names.every((name) => flags.has(name));
    if (all('avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'fma')) return 'avx512';
    return all('avx2', 'fma') ? 'avx2' : 'baseline';
  } catch {
    return 'unknown';
  }
}

function attempt(name: string, action: () => string): Finding {
  try {
    return { name, ok: true, text: action() };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { name, ok: false, text: `${code ?? 'error'}: ${message}` };
  }
}

/** Driver, libraries, kernels: the first that is missing explains why there is no `cuda`. */
export function describeCuda({ driver, problem, plugin }: CudaLibraries): string {
  if (problem !== null) return `not usable: ${problem}`;
  const kernels =
    plugin === null ? "no kernels of this package: LibTorch's operators do all work" : `kernels ${plugin}`;
  return `driver ${String(driver)}, CUDA libraries of LibTorch open, ${kernels}`;
}

/** How the kernels of this package stand on a GPU, from the lines of `plugin_report`: not well where one was switched off. */
export function describeKernels(lines: readonly string[]): Finding {
  const plain = lines.map((line) => line.replace(/: \d+ calls/, ''));
  return { name: 'GPU kernels', ok: !lines.some((line) => line.includes(' OFF: ')), text: plain.join('\n') };
}

// Runs every family on small shapes, as a first use would.
function tryKernels(core: object): Finding {
  const door = core as { operator: (name: string) => (...args: unknown[]) => unknown };
  try {
    return describeKernels(door.operator('phantomgrad::plugin_try')('cuda:0') as string[]);
  } catch (error) {
    return { name: 'GPU kernels', ok: false, text: (error as Error).message };
  }
}

/** Examines this machine: platform, native files, LibTorch, and whether all of it opens together. */
export function diagnose(): Diagnosis {
  const machine = thisMachine();
  const { found, trace } = searchLibtorch();
  const files = attempt('native files', () => {
    const { loader, glibcFloor } = nativeFiles();
    return `${loader} (${glibcFloor === null ? 'built here' : `needs glibc ${glibcFloor}`})`;
  });
  const libtorch: Finding = {
    name: 'LibTorch',
    ok: found !== null,
    text:
      found === null ? `not found\n${describeTrace(trace)}` : `${found.version} from ${found.source}: ${found.root}`,
  };
  const findings: Finding[] = [
    { name: 'machine', ok: true, text: machineName(machine) },
    { name: 'Node.js', ok: true, text: process.version },
    { name: 'processor', ok: true, text: `${availableParallelism()} threads, ${instructionSet()}` },
    { name: 'memory', ok: true, text: `${(totalmem() / 2 ** 30).toFixed(1)} GiB` },
    { name: 'cache', ok: true, text: cacheFolder() },
    files,
    libtorch,
  ];
  let gpu = 'not looked for: nothing was opened';
  const kernels: Finding[] = [];
  if (files.ok && libtorch.ok) {
    findings.push(
      attempt('load', () => {
        const started = performance.now();
        const { cuda, exports: core } = openNative();
        gpu = describeCuda(cuda);
        const text = `opened in ${(performance.now() - started).toFixed(0)} ms`;
        if (cuda.stale !== null) kernels.push({ name: 'GPU kernels', ok: cuda.problem !== null, text: cuda.stale });
        if (cuda.problem === null && cuda.plugin !== null) kernels.push(tryKernels(core));
        return text;
      }),
    );
    // A machine without a GPU is complete: this line informs.
    findings.push({ name: 'GPU', ok: true, text: gpu });
    findings.push(...kernels);
  }
  return { ok: findings.every(({ ok }) => ok), findings, trace };
}
