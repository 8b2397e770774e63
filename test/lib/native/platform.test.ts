// What happens where there are no native files: a clear refusal, and the parts that need none still work.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type PhantomgradError } from '../../../lib/errors';
import type * as lazy from '../../../lib/native';
import { nativeFiles, thisMachine } from '../../../lib/native';
import type * as accounting from '../../../lib/privacy/accounting';
import { temporaryFolder } from './places';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as PhantomgradError).code;
  }
  return 'no failure';
}

function packageWithPrebuilds(requires?: object): string {
  const root = temporaryFolder();
  const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "name": "phantomgrad" }');
  writeFileSync(join(folder, 'phantomgrad.node'), '');
  writeFileSync(join(folder, 'libphantomgrad-2.11.so'), '');
  if (requires !== undefined) writeFileSync(join(folder, 'requires.json'), JSON.stringify(requires));
  return root;
}

const linux = { platform: 'linux', arch: 'x64', glibc: '2.36' };

test.each([
  { platform: 'darwin', arch: 'arm64', glibc: null },
  { platform: 'win32', arch: 'x64', glibc: null },
  { platform: 'linux', arch: 'arm64', glibc: '2.36' },
  { platform: 'linux', arch: 'x64', glibc: null },
])('without native files, $platform-$arch (glibc $glibc) gets ERR_PLATFORM', (machine) => {
  expect(codeOf(() => nativeFiles(temporaryFolder(), machine))).toBe('ERR_PLATFORM');
});

test('on a supported platform, missing files are a missing build', () => {
  expect(codeOf(() => nativeFiles(temporaryFolder(), linux))).toBe('ERR_NATIVE_MISSING');
});

test('prebuilt files are refused on an older C library than they need, and taken on a newer one', () => {
  const root = packageWithPrebuilds({ glibc: '2.34' });
  for (const glibc of ['2.28', '2.4', '1.99'])
    expect(codeOf(() => nativeFiles(root, { ...linux, glibc }))).toBe('ERR_PLATFORM');
  for (const glibc of ['2.34', '2.40', '3.0']) expect(nativeFiles(root, { ...linux, glibc }).glibcFloor).toBe('2.34');
});

test('files that were built here need no check', () => {
  expect(nativeFiles(packageWithPrebuilds(), thisMachine()).glibcFloor).toBeNull();
});

test('importing the library opens nothing: privacy accounting works where native calls refuse', () => {
  jest.isolateModules(() => {
    jest.doMock('node-gyp-build', () => ({
      resolve: () => {
        throw new Error('No native build was found');
      },
    }));
    const { rdp } = jest.requireActual<typeof accounting>('../../../lib/privacy/accounting');
    const events = [{ kind: 'gaussian', noiseMultiplier: 2, count: 1 }] as const;
    expect(rdp().epsilon(events, 1e-5)).toBeGreaterThan(0);
    const { native } = jest.requireActual<typeof lazy>('../../../lib/native');
    expect(codeOf(() => native())).toMatch(/^ERR_(PLATFORM|NATIVE_MISSING)$/);
  });
});
