// Where the histories of a figure come from, and what a figure does not take.

import { raise } from '../../../errors';
import type { ExperimentControl } from '../cells';

/**
 * @param madeUp  `without data`: made-up histories where no file is named. `quick only`: a full run needs a file.
 * @param needs  What the file must hold, for the message.
 * @throws ERR_INVALID_ARGUMENT for data in a quick run, or none in a full one.
 */
export function sourceOf(
  name: string,
  { data, quick = false }: Pick<ExperimentControl, 'data' | 'quick'>,
  { madeUp, needs = 'data' }: { readonly madeUp: 'without data' | 'quick only'; readonly needs?: string },
): { readonly data?: string } {
  if (quick && data !== undefined) {
    raise('ERR_INVALID_ARGUMENT', `experiment ${name}: a quick run takes made-up histories, not --data.`);
  }
  if (!quick && data === undefined && madeUp === 'quick only') {
    raise(
      'ERR_INVALID_ARGUMENT',
      `experiment ${name}: needs ${needs}; name its file with --data, or try --quick on made-up histories.`,
    );
  }
  return data === undefined ? {} : { data };
}

/** For what trains nothing. @throws ERR_INVALID_ARGUMENT */
export function refuseCells(name: string, { seeds, resume = false }: ExperimentControl): void {
  if (seeds === undefined && !resume) return;
  raise('ERR_INVALID_ARGUMENT', `experiment ${name}: trains nothing, so it takes no seeds and no resume.`);
}
