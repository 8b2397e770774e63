// The language-model experiment: privately with and without Re-Attention, and without privacy (appendix D.7).

import { basename } from 'node:path';

import * as check from '../../../check';
import { Alphabet, readText, syntheticText, characterBlocks } from '../../../data';
import { raise } from '../../../errors';
import { native } from '../../../native';
import { VERSION } from '../../../version';
import { type ExperimentControl, type PlannedCell, runCells } from '../cells';
import type { ExperimentOutcome } from '../run';
import { ResultsStore } from '../store';
import { textReport, textText } from './report';
import type { TextCell, TextResults } from './results';
import { SETTINGS, TEXT_NOT_COVERED, TEXT_ROWS } from './settings';
import { trainText } from './train';
import { countedBits } from './yardsticks';

export const TEXT_EXPERIMENT = 'tinyshakespeare';

/**
 * @throws ERR_INVALID_ARGUMENT, ERR_DATA_FORMAT, ERR_RUN_FOLDER before anything is trained; what training throws. Finished cells are on
 *   disk whatever happens.
 */
export async function runTextExperiment(control: ExperimentControl): Promise<ExperimentOutcome> {
  const { data, quick = false, small = false, out, seeds = 1, resume = false } = control;
  check.integer('experiment', { seeds }, 1);
  if (quick && data !== undefined) {
    raise('ERR_INVALID_ARGUMENT', `experiment ${TEXT_EXPERIMENT}: a quick run takes made-up text, not --data.`);
  }
  native(); // where LibTorch is missing, that is said before a file is read
  const settings = SETTINGS[quick ? 'quick' : small ? 'small' : 'full'];
  const alphabet = new Alphabet();
  const text = data === undefined ? syntheticText({ characters: settings.madeUp }) : await readText(data);
  const file = data ?? 'made-up text';
  const { maxLength } = settings.model;
  const blocks = characterBlocks(alphabet.encode(text, file), alphabet, { length: maxLength, file });
  const { train, validation } = blocks;
  if (train.length < 4) {
    raise(
      'ERR_DATA_FORMAT',
      `${file}: ${train.length} blocks of ${maxLength + 1} characters are too few to train on; give at least 4.`,
    );
  }
  const empty: TextResults = {
    ...{ experiment: TEXT_EXPERIMENT, quick, phantomgrad: VERSION, settings },
    data: {
      ...{ name: basename(file), characters: text.length, alphabet: alphabet.size },
      ...{ blocks: train.length, blockLength: maxLength + 1, validationBlocks: validation.length },
    },
    yardsticks: countedBits(train, validation),
    cells: [],
  };
  const store = await ResultsStore.open(out, empty, ['data', 'settings'], resume);
  const plan = Array.from({ length: seeds }, (_, seed) =>
    TEXT_ROWS.map(({ id: row, name }): PlannedCell<TextCell> => ({
      key: `${row}-seed-${seed}`,
      title: `${name}, seed ${seed}`,
      is: (cell) => cell.row === row && cell.seed === seed,
      run: async (folder) => {
        const cell = await trainText(folder, { row, seed }, blocks, alphabet, settings, control);
        return cell === null ? null : { cell };
      },
    })),
  ).flat();
  const interrupted = await runCells(store, plan, textReport, control);
  const { cells } = store.results;
  const rows = cells.map(({ losses: _losses, ...row }) => row);
  return {
    ...{ text: textText(store.results), rows, cells: cells.length, planned: plan.length, interrupted },
    notCovered: TEXT_NOT_COVERED,
  };
}
