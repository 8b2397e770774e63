// A pip index in a folder: small wheels with the names of the real ones, so that downloads are tested without network.

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { sha256 } from '../../../lib/native/download';
import { type Wheel } from '../../../lib/native/wheels';

const MAKE_WHEEL = `
import json, sys, zipfile
path, files = sys.argv[1], json.loads(sys.argv[2])
with zipfile.ZipFile(path, 'w') as archive:
    for name, text in files.items():
        archive.writestr(name, text)
`;

// `python -m pip download` in a few milliseconds: copies the wheel that is asked for, and counts.
const QUICK_PIP = `#!/bin/sh
[ "$1" = -m ] || exec python3 "$@"
if [ "$3" = --version ]; then echo 'pip 24.0 from here (python 3.11)'; exit; fi
echo download >> 'LOG'
sleep 0.1
while [ $# -gt 1 ]; do
  if [ "$1" = --dest ]; then dest=$2; fi
  shift
done
name=$(echo "$1" | sed 's/==/-/')
cp 'HOUSE'/"$name"-* "$dest" || { echo "No matching distribution found for $1" >&2; exit 1; }
`;

async function makeWheel(folder: string, name: string, version: string, tag: string, files: object): Promise<Wheel> {
  const info = `${name}-${version}.dist-info`;
  const metadata = {
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`,
    [`${info}/WHEEL`]: `Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: ${tag}\n`,
    [`${info}/RECORD`]: '',
  };
  const file = `${name}-${version}-${tag}.whl`;
  const path = join(folder, file);
  const { status, stderr } = spawnSync('python3', ['-c', MAKE_WHEEL, path, JSON.stringify({ ...files, ...metadata })], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const requirement = `${name}==${version}`;
  return { requirement, file, bytes: statSync(path).size, sha256: await sha256(path), keep: ['torch/.*', 'nvidia/.*'] };
}

export interface Wheelhouse {
  readonly wheels: readonly Wheel[];
  /** The environment for a set-up that sees these wheels only. */
  readonly env: Record<string, string | undefined>;
  /** How often pip was asked for a download. */
  downloads(): number;
}

/** Two wheels, as in the real table; each user (a home folder) gets an own cache and a Python whose pip is quick and counts. With `PHANTOMGRAD_PYTHON: 'python3'` the real pip works too. */
export async function wheelhouse(home: string): Promise<(home: string) => Wheelhouse> {
  const folder = join(home, 'wheelhouse');
  mkdirSync(folder, { recursive: true });
  const wheels = [
    await makeWheel(folder, 'nvidia_cuda_runtime', '13.0.96', 'py3-none-manylinux2014_x86_64', {
      'nvidia/cu13/lib/libcudart.so.13': 'cudart',
    }),
    await makeWheel(folder, 'torch', '2.11.0', 'cp311-cp311-manylinux_2_28_x86_64', {
      'torch/lib/libc10.so': 'c10',
      'torch/lib/libtorch_cpu.so': 'torch',
      'torch/version.py': "__version__ = '2.11.0+cu130'\n",
      'functorch/left_out.py': '',
    }),
  ];
  return (user) => {
    const log = join(user, 'downloads');
    writeFileSync(log, '');
    const python = join(user, 'python');
    writeFileSync(python, QUICK_PIP.replaceAll('HOUSE', folder).replaceAll('LOG', log));
    chmodSync(python, 0o755);
    const env = {
      PATH: process.env.PATH,
      HOME: user,
      PHANTOMGRAD_PYTHON: python,
      PHANTOMGRAD_CACHE: join(user, 'cache'),
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: folder,
      PIP_CONFIG_FILE: '/dev/null',
    };
    return { wheels, env, downloads: () => readFileSync(log, 'utf8').split('\n').length - 1 };
  };
}
