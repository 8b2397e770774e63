// A small interaction log on disk, and folders that disappear after the test file.

import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { RecommenderOptions } from '../../../../lib/tasks';

const home = mkdtempSync(join(tmpdir(), 'phantomgrad-recommender-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

export const path = (...names: string[]): string => join(home, ...names);
export const entries = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);

/** 60 users of 6 actions walk around a circle of 20 items named i1 … i20; two more have too few, one with an item of its own. */
export function logFile(name = 'log.csv'): string {
  const rows = ['user,item,timestamp'];
  for (let user = 0; user < 60; user++) {
    for (let k = 0; k < 6; k++) rows.push(`u${user},i${1 + ((user + k) % 20)},${1000 + k}`);
  }
  rows.push('short,i1,1', 'rare,only-rare,1');
  const file = path(name);
  writeFileSync(file, `${rows.join('\n')}\n`);
  return file;
}

/** A run of a few seconds on {@link logFile}. */
export const small = (data: string): RecommenderOptions => ({
  data,
  epochs: 2,
  batchSize: 20,
  dim: 8,
  blocks: 1,
  maxLength: 6,
  epsilon: 5,
  delta: 1e-3,
});
