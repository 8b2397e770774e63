// Build tools that a machine may lack: taken from pip into a private folder of the checkout, never installed.
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { isMain, main, run, StepError, versionOf } from './shell.mjs';
import { setupFolder } from './stamp.mjs';

// Exact versions: the output of clang-format moves between majors.
const PINNED = {
  cmake: { version: '4.4.4', binary: 'cmake/data/bin/cmake' },
  ninja: { version: '1.13.2', binary: 'bin/ninja' },
  'clang-format': { version: '23.1.5', binary: 'clang_format/data/bin/clang-format' },
};

const binFolder = join(setupFolder, 'bin');

/** Where the private copy of a tool is (or would be). */
export function privateTool(name) {
  return join(setupFolder, 'tools', `${name}-${PINNED[name].version}`, PINNED[name].binary);
}

/** Fetches the private copy of a tool unless it is there, and returns its path. */
export async function fetchTool(name) {
  const path = privateTool(name);
  if (!existsSync(path)) {
    const { version, binary } = PINNED[name];
    const folder = path.slice(0, -binary.length - 1);
    console.error(`Fetching ${name} ${version} (used inside this checkout only)`);
    rmSync(`${folder}.part`, { recursive: true, force: true });
    const python = process.env.PHANTOMGRAD_PYTHON ?? 'python3';
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '--only-binary',
      ':all:',
    ];
    try {
      // Quiet about running as root: nothing is installed outside our folder.
      const env = { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' };
      await run(python, [...pip, '--target', `${folder}.part`, `${name}==${version}`], { env });
    } catch (error) {
      throw new StepError(
        `${error.message}\n${name} is missing here and pip could not fetch it: install ${name} yourself.`,
      );
    }
    renameSync(`${folder}.part`, folder);
  }
  return path;
}

/** The environment in which cmake and ninja (or make) are found: the system's where they are there, ours where not. */
export async function buildEnvironment() {
  const environment = { ...process.env, PATH: `${binFolder}${delimiter}${process.env.PATH ?? ''}` };
  const cmake = versionOf('cmake', environment);
  const missing = [];
  if (cmake === null || cmake[0] * 1000 + cmake[1] < 3018) missing.push('cmake');
  if (versionOf('ninja', environment) === null && versionOf('make', environment) === null) missing.push('ninja');
  for (const name of missing) {
    const path = await fetchTool(name);
    mkdirSync(binFolder, { recursive: true });
    rmSync(join(binFolder, name), { force: true });
    symlinkSync(path, join(binFolder, name));
  }
  if (['c++', 'g++', 'clang++'].every((compiler) => versionOf(process.env.CXX ?? compiler) === null)) {
    throw new StepError(
      'No C++ compiler was found. Install one with C++20 (Debian: apt install g++), or name it in CXX.',
    );
  }
  return environment;
}

/** `Ninja` where it is there: it starts faster and uses every core. */
export function generator(environment) {
  return versionOf('ninja', environment) === null ? 'Unix Makefiles' : 'Ninja';
}

if (isMain(import.meta)) await main(async () => console.log(await fetchTool(process.argv[2])));
