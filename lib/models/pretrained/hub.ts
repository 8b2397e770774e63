// From the name of a model to its folder: a path, or a snapshot in the local cache of the Hugging Face hub, which is only read.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import * as check from '../../check';
import { raise } from '../../errors';

/** The cache as Python's huggingface_hub finds it: HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub, ~/.cache/…. */
export function hubCache(env: NodeJS.ProcessEnv = process.env): string {
  check.object('hubCache', { env });
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = env;
  if (HF_HUB_CACHE) return HF_HUB_CACHE;
  if (HF_HOME) return join(HF_HOME, 'hub');
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface', 'hub');
}

/**
 * @param nameOrFolder  A folder with a config.json, or a name such as «gpt2» or «facebook/opt-125m» that was downloaded before.
 * @param revision  Branch, tag or commit in the cache. Default main.
 * @throws ERR_INVALID_ARGUMENT for what is no text. ERR_MODEL_NOT_FOUND that lists where was looked. Nothing is ever downloaded.
 */
export function modelFolder(nameOrFolder: string, revision = 'main', cache: string = hubCache()): string {
  check.text('model', { nameOrFolder });
  if (existsSync(join(nameOrFolder, 'config.json'))) return nameOrFolder;
  const tried = [join(nameOrFolder, 'config.json')];
  if (/^[\w.-]+(\/[\w.-]+)?$/.test(nameOrFolder) && /^[\w.-]+(\/[\w.-]+)*$/.test(revision)) {
    const repository = join(cache, `models--${nameOrFolder.replace('/', '--')}`);
    const reference = join(repository, 'refs', revision);
    const named = statSync(reference, { throwIfNoEntry: false })?.isFile() === true;
    const commit = named ? readFileSync(reference, 'utf8').trim() : revision;
    const snapshot = join(repository, 'snapshots', commit);
    if (existsSync(join(snapshot, 'config.json'))) return snapshot;
    tried.push(join(snapshot, 'config.json'));
  }
  return raise(
    'ERR_MODEL_NOT_FOUND',
    `${nameOrFolder}: no model here. Looked for ${tried.join(' and ')}. Download it first: huggingface-cli download ${nameOrFolder}`,
  );
}
