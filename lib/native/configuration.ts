// The saved configuration: which LibTorch to use where no environment variable says so.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { raise } from '../errors';
import { configurationFile, type Environment } from './places';
import { type Libtorch, searchLibtorch } from './search';

/**
 * Saves `folder` as the LibTorch to use, after the same checks as the search makes, and returns it.
 *
 * @throws ERR_LIBTORCH_NOT_FOUND, ERR_LIBTORCH_VERSION when it is not usable; nothing is saved then.
 */
export function saveLibtorch(folder: string, env: Environment = process.env): Libtorch {
  const { found, trace } = searchLibtorch({ ...env, LIBTORCH: folder });
  const first = trace[0];
  if (found === null) {
    return raise(
      first?.wrongVersion === true ? 'ERR_LIBTORCH_VERSION' : 'ERR_LIBTORCH_NOT_FOUND',
      `${folder} ${first?.problem ?? 'is not usable'}. Nothing was saved.`,
    );
  }
  const file = configurationFile(env);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ libtorch: found.root }, null, 2)}\n`);
  return { ...found, source: 'saved configuration' };
}
