// `phantomgrad setup`: makes LibTorch available, by finding, remembering or downloading it.

import { Command } from 'commander';

import { saveLibtorch } from '../native/configuration';
import { downloadLibtorch, ensureLibtorch } from '../native/setup';
import { searchLibtorch, type Libtorch } from '../native';

interface SetupFlags {
  readonly libtorch?: string;
  readonly download?: boolean;
  readonly cuda?: boolean;
  readonly json?: boolean;
}

/** Does what the command does and returns the LibTorch that will be used from now on. */
export async function runSetup(flags: SetupFlags): Promise<Libtorch> {
  if (flags.libtorch !== undefined) return saveLibtorch(flags.libtorch);
  const cuda = flags.cuda === true;
  if (flags.download !== true) return ensureLibtorch({ cuda });
  const root = await downloadLibtorch({ cuda });
  const { found } = searchLibtorch();
  return found ?? { root, version: 'unknown', source: 'cache' };
}

export function setupCommand(): Command {
  return new Command('setup')
    .description('find LibTorch, or download it (545 MB) into the cache')
    .option('--libtorch <folder>', 'remember a LibTorch that is already on this machine')
    .option('--cuda', 'with the CUDA libraries for an NVIDIA GPU: a download of 2.5 GB unless they are found')
    .option('--download', 'fill the cache even when another LibTorch is found')
    .option('--json', 'print the result as one line of JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad setup
  $ phantomgrad setup --cuda
  $ phantomgrad setup --libtorch /opt/libtorch
  $ PHANTOMGRAD_CACHE=/data/cache phantomgrad setup --download
`,
    )
    .action(async (flags: SetupFlags) => {
      const { root, version, source } = await runSetup(flags);
      if (flags.json === true) console.log(JSON.stringify({ libtorch: root, version, source }));
      else console.log(`LibTorch ${version} is ready (${source}): ${root}`);
    });
}
