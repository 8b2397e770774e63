// The tarball, as a user gets it: packed with prebuilt files, installed with scripts disabled, required and imported.

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { findLibtorch, nativeFiles, PACKAGE_ROOT } from '../../lib/native';
import { temporaryFolder } from '../lib/native/places';

const fixtures = join(__dirname, 'fixtures');
const home = temporaryFolder();
const staging = join(home, 'package');
const user = join(home, 'user');
const { root: LIBTORCH } = findLibtorch();

function run(command: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`);
  return stdout.trim();
}

const inUserFolder = (script: string, env: Record<string, string> = {}): string => {
  copyFileSync(join(fixtures, script), join(user, script));
  return run(process.execPath, [script], user, { LIBTORCH, ...env });
};

/** What prebuildify makes, from the build of this checkout: the same files under the same names. */
function stagePackage(): void {
  const { files } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { files: string[] };
  for (const path of ['package.json', 'README.md', 'LICENSE', ...files]) {
    if (path !== 'prebuilds' && existsSync(join(PACKAGE_ROOT, path))) {
      cpSync(join(PACKAGE_ROOT, path), join(staging, path), { recursive: true });
    }
  }
  const prebuilds = join(staging, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(prebuilds, { recursive: true });
  const { loader, core } = nativeFiles();
  copyFileSync(loader, join(prebuilds, 'phantomgrad.glibc.node'));
  copyFileSync(core, join(prebuilds, 'libphantomgrad-2.11.so'));
  const note = `import { writeRequirements } from ${JSON.stringify(join(PACKAGE_ROOT, 'scripts', 'prebuild.mjs'))};`;
  run(
    process.execPath,
    ['--input-type=module', '-e', `${note} writeRequirements(${JSON.stringify(prebuilds)});`],
    staging,
  );
}

beforeAll(() => {
  stagePackage();
  mkdirSync(user, { recursive: true });
  writeFileSync(join(user, 'package.json'), '{ "name": "user", "version": "1.0.0", "private": true }');
  const tarball = run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', home], staging);
  run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', join(home, tarball)], user);
}, 300_000);

const installed = join(user, 'node_modules', 'phantomgrad');

test('the package brings what it needs and no sources of tests', () => {
  const names = readdirSync(installed);
  for (const name of ['dist', 'prebuilds', 'types', 'LICENSE', 'package.json']) expect(names).toContain(name);
  for (const name of ['test', 'node_modules', 'build', '.cmake']) expect(names).not.toContain(name);
});

test('require and import give the same classes', () => {
  expect(inUserFolder('same-classes.cjs')).toMatch(/^same \d+$/);
});

test('a tensor computes from the prebuilt files', () => {
  expect(inUserFolder('first-tensor.cjs')).toBe('2 3 4');
});

test('without LibTorch the package loads, and the first native call says what is missing', () => {
  const env = { LIBTORCH: join(home, 'nothing'), HOME: home };
  expect(inUserFolder('same-classes.cjs', env)).toMatch(/^same/);
  expect(inUserFolder('first-tensor.cjs', env)).toBe('ERR_LIBTORCH_NOT_FOUND');
});

test('an older C library than the prebuilt files need is named before anything is opened', () => {
  const folder = dirname(join(installed, 'prebuilds', `${process.platform}-${process.arch}`, 'requires.json'));
  const requires = readFileSync(join(folder, 'requires.json'), 'utf8');
  expect(JSON.parse(requires)).toEqual({ glibc: expect.stringMatching(/^2\.\d+$/) });
  writeFileSync(join(folder, 'requires.json'), '{ "glibc": "9.9" }');
  try {
    expect(inUserFolder('first-tensor.cjs')).toBe('ERR_PLATFORM');
  } finally {
    writeFileSync(join(folder, 'requires.json'), requires);
  }
});

test('the command of the package runs', () => {
  const doctor = JSON.parse(run('npx', ['phantomgrad', 'doctor', '--json'], user, { LIBTORCH })) as { ok: boolean };
  expect(doctor.ok).toBe(true);
});

test('ten private steps run from the installed package', () => {
  const steps = JSON.parse(inUserFolder('ten-steps.cjs')) as { steps: number; epsilon: number };
  expect(steps.steps).toBe(10);
  expect(steps.epsilon).toBeGreaterThan(0);
});

test.each(['node16', 'esnext --moduleResolution bundler'])(
  'its types hold for strict programs that check libraries too: module %s',
  (module) => {
    const sources = module === 'node16' ? ['steps.mts', 'steps.cts'] : ['steps.mts'];
    for (const name of sources) copyFileSync(join(fixtures, name), join(user, name));
    const modules = join(PACKAGE_ROOT, 'node_modules');
    const flags = `--noEmit --strict --exactOptionalPropertyTypes --target es2022 --module ${module} --types node`;
    const checked = ['--skipLibCheck', 'false', '--typeRoots', join(modules, '@types')];
    run(process.execPath, [join(modules, 'typescript/bin/tsc'), ...flags.split(' '), ...checked, ...sources], user);
  },
);

test('publint finds nothing to say about the package', () => {
  const publint = join(PACKAGE_ROOT, 'node_modules', 'publint', 'src', 'cli.js');
  run(process.execPath, [publint, 'run', staging, '--strict', '--pack', 'false'], staging);
});
