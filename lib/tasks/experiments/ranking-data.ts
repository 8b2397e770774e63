// The histories that an experiment's cells train on, and what results.json says of them.

import { VERSION } from '../../version';
import type { RecommenderOptions } from '../recommender';
import { loadHistories } from '../recommender/data';
import { resolveOptions } from '../recommender/options';
import type { ExperimentControl } from './cells';
import { QUICK, type RankingExperiment } from './definitions';
import { sourceOf } from './figures/source';
import type { ResultsHead } from './results';

export interface RankingData {
  readonly head: ResultsHead;
  /** Of every cell: those of the head, the file, and the device. */
  readonly options: RecommenderOptions;
}

/**
 * Reads the data once, to know N: δ is 1/N.
 *
 * @param name  Of the experiment or figure. @param settings  Whose data and options it takes, unless the run is a quick one.
 * @throws ERR_INVALID_ARGUMENT for data in a quick run, or none in a full one; ERR_DATA_FORMAT.
 */
export async function rankingData(
  name: string,
  settings: RankingExperiment,
  control: Pick<ExperimentControl, 'data' | 'quick' | 'small' | 'device' | 'validation'>,
): Promise<RankingData> {
  const { quick = false, small = false, validation = false, device } = control;
  const file = sourceOf(name, control, { madeUp: 'quick only', needs: settings.data.name });
  const shared = quick ? QUICK : { ...settings.options, ...(small && settings.small) };
  const { interactions, source } = await loadHistories(resolveOptions({ ...shared, ...file }));
  const { users, itemCount: items } = interactions;
  const { actions } = interactions.split({ validation }).train;
  const options = { ...shared, delta: 1 / users, ...(validation && { validation }) };
  const title = source.kind === 'file' ? source.name : 'made-up histories';
  const head = { experiment: name, quick, phantomgrad: VERSION, data: { name: title, users, items, actions }, options };
  return { head, options: { ...options, ...file, ...(device !== undefined && { device }) } };
}
