// Which files of a folder hold the tables to train on and the held-out ones: the official names of E2E and DART.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { raise } from '../../errors';

const TRAIN = [/^trainset\.csv(\.gz)?$/, /^dart-.*-train\.json(\.gz)?$/];
const TEST = [/^testset_w_refs\.csv(\.gz)?$/, /^dart-.*-test\.json(\.gz)?$/];

/**
 * @param name  The command, for messages. With «evaluate», a file is held-out data itself.
 * @throws ERR_INVALID_ARGUMENT where held-out tables are not named and not found.
 */
export function tableFiles(
  data: string,
  test: string | undefined,
  name = 'train table2text',
): { readonly train: string; readonly test: string } {
  if (statSync(data, { throwIfNoEntry: false })?.isDirectory() !== true) {
    if (name === 'evaluate') return { train: data, test: data };
    if (test !== undefined) return { train: data, test };
    return raise('ERR_INVALID_ARGUMENT', `${name}: beside a file to train on, name held-out tables with --test FILE.`);
  }
  const names = readdirSync(data).sort();
  const find = (patterns: readonly RegExp[], official: string): string => {
    const found = names.find((file) => patterns.some((pattern) => pattern.test(file)));
    return found === undefined
      ? raise('ERR_DATA_FORMAT', `${data}: expected ${official} (also .gz), found neither.`)
      : join(data, found);
  };
  return {
    train: name === 'evaluate' ? data : find(TRAIN, 'trainset.csv or dart-*-train.json'),
    test: test ?? find(TEST, 'testset_w_refs.csv or dart-*-test.json'),
  };
}
