// The folder of a run, whatever was trained: what its files are called, that no run overwrites another, and how its JSON is read.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { raise } from '../../errors';

/** Names inside a run folder. */
export const RUN_FILES = {
  weights: 'model.safetensors',
  config: 'config.json',
  privacy: 'privacy.json',
  metrics: 'metrics.jsonl',
  report: 'report.html',
} as const;

const UNBEGUN: readonly string[] = [RUN_FILES.metrics, 'checkpoint.part'];

/** Refuses a folder that holds anything: a run never overwrites another. @throws ERR_RUN_FOLDER */
export async function refuseOccupied(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    return raise('ERR_RUN_FOLDER', `${folder}: is not a folder that a run can be written to.`, error);
  }
  if (names.length === 0) return;
  const what = names.includes(RUN_FILES.config) ? 'holds another run' : `is not empty (${names[0]} …)`;
  raise('ERR_RUN_FOLDER', `${folder}: ${what}. Choose a folder that does not exist, or remove this one.`);
}

/** Clears a folder in which a run was killed before its first saved state: nothing of the data was released there. */
export async function clearUnbegun(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  if (!names.includes(RUN_FILES.metrics) || names.some((name) => !UNBEGUN.includes(name))) return;
  for (const name of names) await rm(join(folder, name), { recursive: true });
}

/** Makes the folder. @throws ERR_RUN_FOLDER when it holds anything or cannot be made. */
export async function makeRunFolder(folder: string): Promise<void> {
  await refuseOccupied(folder);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    raise('ERR_RUN_FOLDER', `${folder}: cannot be made: ${(error as Error).message}.`, error);
  }
}

/** @throws ERR_RUN_FOLDER naming the file that is missing or no JSON object. */
export async function readJson(folder: string, name: string): Promise<Record<string, unknown>> {
  const path = join(folder, name);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return raise(
      'ERR_RUN_FOLDER',
      `${path}: cannot be read; ${folder} is no run folder, or its run never finished.`,
      error,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return raise('ERR_RUN_FOLDER', `${path}: is not JSON: ${(error as Error).message}.`, error);
  }
  if (typeof value !== 'object' || value === null) return raise('ERR_RUN_FOLDER', `${path}: is not a JSON object.`);
  return value as Record<string, unknown>;
}
