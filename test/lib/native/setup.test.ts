// LibTorch into the cache: checked, resumed, never half-made. Local files stand for the package index; no network.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type PhantomgradError } from '../../../lib/errors';
import { libtorchFolder, searchLibtorch } from '../../../lib/native';
import { downloadLibtorch, ensureLibtorch } from '../../../lib/native/setup';
import { CPU_WHEELS } from '../../../lib/native/wheels';
import { fakeLibtorch, temporaryFolder } from './places';
import { type Wheelhouse, wheelhouse } from './wheelhouse';

jest.mock('../../../lib/native/progress', () => ({
  progressLine: () => ({ update: () => undefined, end: () => undefined }),
}));

const log = (): void => undefined;
let house: Wheelhouse;
let store: string;

let user: (home: string) => Wheelhouse;

beforeAll(async () => {
  user = await wheelhouse(temporaryFolder());
});

beforeEach(() => {
  house = user(temporaryFolder());
  store = `${libtorchFolder(house.env)}.wheels`;
});

async function failureOf(promise: Promise<unknown>): Promise<PhantomgradError> {
  return promise.then(
    () => {
      throw new Error('expected a failure');
    },
    (error: unknown) => error as PhantomgradError,
  );
}

const fill = (): Promise<string> => downloadLibtorch({ ...house, log });

test('a set-up leaves the kept files and a stamp, and no wheels', async () => {
  const root = await fill();
  expect(root).toBe(join(libtorchFolder(house.env), 'torch'));
  expect(readFileSync(join(root, 'lib', 'libtorch_cpu.so'), 'utf8')).toBe('torch');
  expect(readdirSync(libtorchFolder(house.env)).sort()).toEqual(['.done', 'nvidia', 'torch']);
  expect(readdirSync(join(house.env.PHANTOMGRAD_CACHE!, '.'))).toEqual(['libtorch-2.11.0-cpu']);
  expect(searchLibtorch(house.env, []).found).toMatchObject({ root, source: 'cache' });
});

test("the machine's own pip accepts what it is asked", async () => {
  const env = { ...house.env, PHANTOMGRAD_PYTHON: 'python3' };
  const root = await downloadLibtorch({ ...house, env, log });
  expect(readFileSync(join(root, 'lib', 'libtorch_cpu.so'), 'utf8')).toBe('torch');
});

test('a second set-up downloads nothing', async () => {
  await fill();
  await fill();
  expect(house.downloads()).toBe(2);
});

test('two set-ups at once download once', async () => {
  await Promise.all([fill(), fill()]);
  expect(house.downloads()).toBe(2);
});

test('a download with another checksum is refused with both checksums and a remedy, and nothing of it is kept', async () => {
  const wheels = house.wheels.map((wheel) => ({ ...wheel, sha256: 'f'.repeat(64) }));
  const error = await failureOf(downloadLibtorch({ ...house, wheels, log }));
  expect(error.code).toBe('ERR_DOWNLOAD');
  expect(error.message).toContain('f'.repeat(64));
  expect(error.message).toContain(house.wheels[0]!.sha256);
  expect(error.message).toMatch(/again/);
  expect(readdirSync(store)).toEqual([]);
  expect(existsSync(libtorchFolder(house.env))).toBe(false);
});

test('a wheel that pip cannot find is a failure that quotes pip', async () => {
  const wheels = [{ ...house.wheels[0]!, requirement: 'nvidia_cuda_runtime==99' }];
  const error = await failureOf(downloadLibtorch({ ...house, wheels, log }));
  expect(error.code).toBe('ERR_DOWNLOAD');
  expect(error.message).toContain('nvidia_cuda_runtime==99');
});

test('an interrupted set-up continues: complete wheels are kept, damaged ones fetched again, half-unpacked folders redone', async () => {
  const [first, second] = house.wheels;
  // As after an interruption in the second download: the first wheel is there, the second is cut off.
  await failureOf(downloadLibtorch({ ...house, wheels: [first!, { ...second!, sha256: '0'.repeat(64) }], log }));
  expect(readdirSync(store)).toEqual([first!.file]);
  writeFileSync(join(store, second!.file), 'cut');
  mkdirSync(join(`${libtorchFolder(house.env)}.part`, 'torch', 'old'), { recursive: true });
  const before = house.downloads();
  const root = await fill();
  expect(house.downloads() - before).toBe(1);
  expect(existsSync(join(root, 'old'))).toBe(false);
});

test('a kept wheel that was damaged since is fetched again', async () => {
  const [first, second] = house.wheels;
  await failureOf(downloadLibtorch({ ...house, wheels: [first!, { ...second!, sha256: '0'.repeat(64) }], log }));
  truncateSync(join(store, first!.file), 10);
  const before = house.downloads();
  await fill();
  expect(house.downloads() - before).toBe(2);
});

test('a folder without its stamp is made again', async () => {
  const root = await fill();
  rmSync(join(root, '..', '.done'));
  rmSync(join(root, 'lib', 'libc10.so'));
  await fill();
  expect(existsSync(join(root, 'lib', 'libc10.so'))).toBe(true);
});

test('a wheel without the libraries is refused', async () => {
  const wheels = house.wheels.map((wheel) => ({ ...wheel, keep: ['nvidia/.*'] }));
  const error = await failureOf(downloadLibtorch({ ...house, wheels, log }));
  expect(error.code).toBe('ERR_DOWNLOAD');
  expect(existsSync(libtorchFolder(house.env))).toBe(false);
});

test('without pip the set-up says which interpreters were asked', async () => {
  const env = { ...house.env, PHANTOMGRAD_PYTHON: '/nowhere/python' };
  const error = await failureOf(downloadLibtorch({ ...house, env, log }));
  expect(error.code).toBe('ERR_DOWNLOAD');
  expect(error.message).toContain('/nowhere/python');
});

test('a LibTorch that is there is used instead of downloading', async () => {
  const LIBTORCH = fakeLibtorch(join(temporaryFolder(), 'mine'));
  const found = await ensureLibtorch({ ...house, env: { ...house.env, LIBTORCH }, log });
  expect(found.root).toBe(LIBTORCH);
  expect(house.downloads()).toBe(0);
});

test('a wrong LIBTORCH is an error, not a reason to download', async () => {
  const LIBTORCH = fakeLibtorch(join(temporaryFolder(), 'old'), '2.6.0');
  const error = await failureOf(ensureLibtorch({ ...house, env: { ...house.env, LIBTORCH }, log }));
  expect(error.code).toBe('ERR_LIBTORCH_VERSION');
  expect(house.downloads()).toBe(0);
});

test('the real table names exact versions, files and checksums', () => {
  for (const { requirement, file, sha256, bytes } of CPU_WHEELS) {
    const [name, version] = requirement.split('==');
    expect(file.startsWith(`${name!.replaceAll('-', '_')}-${version}-`)).toBe(true);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(bytes).toBeGreaterThan(1e6);
  }
});
