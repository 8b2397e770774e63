// Which LibTorch this version needs, and the folders in which we keep things on a user's machine.

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The release that `setup` downloads. Any other release of the same minor version works too. */
export const TORCH_VERSION = '2.11.0';
/** The core is compiled against this minor version: LibTorch's C++ interface changes between minors. */
export const TORCH_MINOR = '2.11';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The root of this package: holds package.json, `build/` in a checkout and `prebuilds/` when installed. */
export const PACKAGE_ROOT = resolve(__dirname, '..', '..');

/** `PHANTOMGRAD_CACHE`, else `$XDG_CACHE_HOME/phantomgrad`, else `~/.cache/phantomgrad`. */
export function cacheFolder(env: Environment = process.env): string {
  if (env.PHANTOMGRAD_CACHE) return resolve(env.PHANTOMGRAD_CACHE);
  return join(env.XDG_CACHE_HOME ?? join(env.HOME ?? homedir(), '.cache'), 'phantomgrad');
}

/** Where `setup` puts LibTorch: holds `torch/` and `nvidia/` side by side, as the libraries' own search paths expect. */
export function libtorchFolder(env: Environment = process.env, variant: 'cpu' | 'cuda' = 'cpu'): string {
  return join(cacheFolder(env), `libtorch-${TORCH_VERSION}-${variant}`);
}

/** The saved configuration: `{ "libtorch": "/folder" }`, written by `phantomgrad setup --libtorch FOLDER`. */
export function configurationFile(env: Environment = process.env): string {
  return join(env.XDG_CONFIG_HOME ?? join(env.HOME ?? homedir(), '.config'), 'phantomgrad', 'config.json');
}
