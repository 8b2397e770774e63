// Where LibTorch is looked for, in which order, and what a failure tells.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type PhantomgradError } from '../../../lib/errors';
import { configurationFile, findLibtorch, libtorchFolder, searchLibtorch } from '../../../lib/native';
import { saveLibtorch } from '../../../lib/native/configuration';
import { emptyEnvironment, fakeLibtorch, temporaryFolder } from './places';

function failureOf(action: () => unknown): PhantomgradError {
  try {
    action();
  } catch (error) {
    return error as PhantomgradError;
  }
  throw new Error('expected a failure');
}

test('an empty machine fails with every place that was tried, in order, and what to do', () => {
  const env = emptyEnvironment(temporaryFolder());
  const error = failureOf(() => findLibtorch(env, ['/nowhere/libtorch']));
  expect(error.code).toBe('ERR_LIBTORCH_NOT_FOUND');
  const places = ['LIBTORCH', 'saved configuration', 'Python torch', 'cache', '/nowhere/libtorch', 'phantomgrad setup'];
  const positions = places.map((place) => error.message.indexOf(place));
  expect(positions.every((position) => position >= 0)).toBe(true);
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
  expect(error.message).toContain(libtorchFolder(env));
});

test('LIBTORCH wins over every other place', () => {
  const home = temporaryFolder();
  const chosen = fakeLibtorch(join(home, 'chosen'));
  const env = { ...emptyEnvironment(home), LIBTORCH: chosen };
  const saved = fakeLibtorch(join(home, 'saved'));
  saveLibtorch(saved, env);
  expect(findLibtorch(env, [])).toEqual({ root: chosen, version: '2.11.0+cu130', source: 'LIBTORCH' });
  expect(findLibtorch({ ...env, LIBTORCH: undefined }, [])).toMatchObject({
    root: saved,
    source: 'saved configuration',
  });
});

test('LIBTORCH may name the root, its lib folder, or the folder that holds torch', () => {
  const home = temporaryFolder();
  const root = fakeLibtorch(join(home, 'site-packages', 'torch'));
  for (const LIBTORCH of [root, join(root, 'lib'), join(home, 'site-packages')]) {
    expect(findLibtorch({ ...emptyEnvironment(home), LIBTORCH }, []).root).toBe(root);
  }
});

test('a LIBTORCH of another minor version is refused by name, unless the check is switched off', () => {
  const home = temporaryFolder();
  const env = { ...emptyEnvironment(home), LIBTORCH: fakeLibtorch(join(home, 'old'), '2.6.0+cpu') };
  const error = failureOf(() => findLibtorch(env, []));
  expect(error.code).toBe('ERR_LIBTORCH_VERSION');
  expect(error.message).toContain('2.6.0+cpu');
  expect(error.message).toContain('2.11');
  expect(findLibtorch({ ...env, PHANTOMGRAD_SKIP_VERSION_CHECK: '1' }, []).version).toBe('2.6.0+cpu');
});

test('2.1 and 2.110 are not 2.11', () => {
  const home = temporaryFolder();
  for (const version of ['2.1.1', '2.110.0', '12.11.0']) {
    const LIBTORCH = fakeLibtorch(join(home, version), version);
    expect(searchLibtorch({ ...emptyEnvironment(home), LIBTORCH }, []).found).toBeNull();
  }
});

test('a LIBTORCH that is set but unusable ends the search: nothing else is taken silently', () => {
  const home = temporaryFolder();
  const env = { ...emptyEnvironment(home), LIBTORCH: join(home, 'typo') };
  saveLibtorch(fakeLibtorch(join(home, 'good')), env);
  expect(failureOf(() => findLibtorch(env, [])).code).toBe('ERR_LIBTORCH_NOT_FOUND');
  expect(searchLibtorch(env, []).trace).toHaveLength(1);
});

test("Python's torch is found without importing it", () => {
  const home = temporaryFolder();
  const packages = join(home, 'packages');
  fakeLibtorch(join(packages, 'torch'));
  writeFileSync(join(packages, 'torch', '__init__.py'), 'raise RuntimeError("imported")\n');
  const env = { ...emptyEnvironment(home), PHANTOMGRAD_PYTHON: 'python3', PYTHONPATH: packages };
  expect(findLibtorch(env, [])).toMatchObject({ root: join(packages, 'torch'), source: 'Python torch' });
});

test('a Python torch of another minor version is passed over, and the trace says its version', () => {
  const home = temporaryFolder();
  const packages = join(home, 'packages');
  fakeLibtorch(join(packages, 'torch'), '2.9.1');
  writeFileSync(join(packages, 'torch', '__init__.py'), '');
  const system = fakeLibtorch(join(home, 'system'));
  const env = { ...emptyEnvironment(home), PHANTOMGRAD_PYTHON: 'python3', PYTHONPATH: packages };
  const { found, trace } = searchLibtorch(env, [system]);
  expect(found?.root).toBe(system);
  expect(trace.find(({ source }) => source === 'Python torch')).toMatchObject({ version: '2.9.1', wrongVersion: true });
});

test('a cache without its stamp is an interrupted set-up, not a LibTorch', () => {
  const home = temporaryFolder();
  const env = emptyEnvironment(home);
  const root = fakeLibtorch(join(libtorchFolder(env), 'torch'));
  expect(searchLibtorch(env, []).found).toBeNull();
  expect(searchLibtorch(env, []).trace.find(({ source }) => source === 'cache')?.problem).toContain('interrupted');
  writeFileSync(join(libtorchFolder(env), '.done'), '');
  expect(searchLibtorch(env, []).found?.root).toBe(root);
});

test('a saved configuration that is not readable is passed over and named', () => {
  const home = temporaryFolder();
  const env = emptyEnvironment(home);
  mkdirSync(join(configurationFile(env), '..'), { recursive: true });
  writeFileSync(configurationFile(env), '{ "libtorch": ');
  const { found, trace } = searchLibtorch(env, []);
  expect(found).toBeNull();
  expect(trace.find(({ source }) => source === 'saved configuration')?.problem).toContain(configurationFile(env));
});

test('an unusable folder is not saved', () => {
  const home = temporaryFolder();
  const env = emptyEnvironment(home);
  expect(failureOf(() => saveLibtorch(join(home, 'nothing'), env)).code).toBe('ERR_LIBTORCH_NOT_FOUND');
  expect(failureOf(() => saveLibtorch(fakeLibtorch(join(home, 'old'), '2.10.0'), env)).code).toBe(
    'ERR_LIBTORCH_VERSION',
  );
  expect(searchLibtorch(env, []).trace[1]?.problem).toContain('does not exist');
});
