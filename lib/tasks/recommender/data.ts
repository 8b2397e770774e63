// The histories of a run: a file of the user's, or the made-up default whose best possible accuracy is known.

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

import { interactions, syntheticInteractions, syntheticOptimum, type Interactions } from '../../data';
import { raise } from '../../errors';
import type { Scorer } from '../../models/scorer';
import { DEFAULTS, type ResolvedOptions } from './options';

/** Where histories came from, as config.json keeps it: no paths of the machine. */
export type DataSource =
  | { readonly kind: 'file'; readonly name: string; readonly minActions: number; readonly minItemActions?: number }
  | { readonly kind: 'synthetic'; readonly users: number };

export interface Histories {
  readonly interactions: Interactions;
  readonly source: DataSource;
  /** Knows the law that drew the histories; null for data of the world. */
  readonly optimum: Scorer | null;
}

/** @throws ERR_DATA_FORMAT for a file that is not what it should be, ERR_INVALID_ARGUMENT. */
export async function loadHistories(
  options: Pick<ResolvedOptions, 'data' | 'catalogue' | 'minActions' | 'minItemActions' | 'quick'>,
): Promise<Histories> {
  const { data, catalogue, minActions, minItemActions, quick } = options;
  if (data === undefined) {
    if (catalogue !== undefined) {
      raise(
        'ERR_INVALID_ARGUMENT',
        'train recommender: a catalogue belongs to a data file; made-up histories have their own.',
      );
    }
    return synthetic(DEFAULTS[quick ? 'quick' : 'synthetic'].users);
  }
  const items = catalogue === undefined ? {} : { catalogue: await readCatalogue(catalogue) };
  return {
    interactions: await interactions(data, { minActions, minItemActions, ...items }),
    source: { kind: 'file', name: basename(data), minActions, minItemActions },
    optimum: null,
  };
}

/** The made-up histories of a run that used them. */
export function synthetic(users: number): Histories {
  return {
    interactions: syntheticInteractions({ users }),
    source: { kind: 'synthetic', users },
    optimum: syntheticOptimum({ users }),
  };
}

async function readCatalogue(path: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return raise('ERR_DATA_FORMAT', `${path}: the catalogue cannot be read: ${(error as Error).message}.`, error);
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const ids = lines.filter((line) => line !== '');
  if (ids.length === 0) return raise('ERR_DATA_FORMAT', `${path}: expected one item id a line, found none.`);
  const seen = new Set<string>();
  lines.forEach((id, k) => {
    if (id !== '' && seen.has(id))
      raise('ERR_DATA_FORMAT', `${path}:${k + 1}: ${JSON.stringify(id)} stands there twice.`);
    seen.add(id);
  });
  return ids;
}
