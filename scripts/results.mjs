#!/usr/bin/env node
// node scripts/results.mjs [FOLDER …]: takes finished cells of accuracy tables from experiments' folders into docs/results.json, and writes
// the tables of docs/results.md from it. --check: only says whether the tables are those of the file. Needs dist.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import prettier from 'prettier';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { rankingExperiment } = require('../dist/tasks/experiments/definitions.js');
const { gainLines, settingsLine, statisticText, summarise } = require('../dist/tasks/experiments/summary.js');

const STORE = join(root, 'docs', 'results.json');
const PAGE = join(root, 'docs', 'results.md');
const [BEGIN, END] = ['<!-- tables: written by scripts/results.mjs -->', '<!-- end of tables -->'];

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** Cells belong together when experiment, data and settings are the same. Losses are left out: a curve is of no use in a table. */
function take(stored, { experiment, data, options, yardsticks, phantomgrad, cells, quick }) {
  if (quick) throw new Error(`${experiment}: a quick run is no result.`);
  let entry = stored.find((one) => one.experiment === experiment && same([one.data, one.options], [data, options]));
  if (entry === undefined) stored.push((entry = { experiment, data, options, yardsticks, cells: [] }));
  for (const { losses: _losses, accuracies: _accuracies, ...cell } of cells) {
    const twin = ({ row, epsilon, seed }) => row === cell.row && epsilon === cell.epsilon && seed === cell.seed;
    entry.cells = [...entry.cells.filter((one) => !twin(one)), { ...cell, phantomgrad }];
  }
  entry.cells.sort((a, b) => a.epsilon - b.epsilon || a.row.localeCompare(b.row) || a.seed - b.seed);
}

const line = (cells) => `| ${cells.join(' | ')} |`;

function markdown(entry) {
  const experiment = rankingExperiment(entry.experiment);
  const rows = summarise(experiment, entry).filter(({ seeds }) => seeds > 0);
  const paper = rows.some((row) => row.paper !== null);
  const header = ['model', 'ε', 'seeds', 'HIT@10', 'NDCG@10', 'HIT incl.', 'NDCG incl.'];
  const seconds = entry.cells.map(({ secondsPerEpoch }) => secondsPerEpoch);
  const scorers = Object.entries(entry.yardsticks).map(([name, { excludingSeen, includingSeen }]) => [
    ...[`${name} (not private)`, '', ''],
    ...[excludingSeen.hit, excludingSeen.ndcg, includingSeen.hit, includingSeen.ndcg].map((x) => (100 * x).toFixed(2)),
  ]);
  return [
    `### ${experiment.title}`,
    `${settingsLine(entry)}. One cell took ${Math.min(...seconds).toFixed(0)} to ${Math.max(...seconds).toFixed(0)} seconds an epoch.`,
    [
      line([...header, ...(paper ? ['paper HIT', 'paper NDCG'] : [])]),
      line([...header, ...(paper ? ['', ''] : [])].map(() => '---')),
      ...rows.map((row) =>
        line([
          ...[row.name, row.epsilon, row.seeds],
          ...[row.hit, row.ndcg, row.hitIncludingSeen, row.ndcgIncludingSeen].map(statisticText),
          ...(paper ? fromPaper(row.paper) : []),
        ]),
      ),
      ...scorers.map((row) => line([...row, ...(paper ? ['', ''] : [])])),
    ].join('\n'),
    gainLines(experiment, entry)
      .map((text) => `- ${text}`)
      .join('\n'),
  ].join('\n\n');
}

const fromPaper = (paper) =>
  paper === null ? ['', ''] : [paper.hit, paper.ndcg].map(([mean, spread]) => statisticText({ mean, spread }));

const args = process.argv.slice(2);
const check = args.includes('--check');
const folders = args.filter((arg) => arg !== '--check');
const stored = read(STORE);
for (const folder of folders) take(stored, read(join(folder, 'results.json')));
const json = `${JSON.stringify(stored, null, 1)}\n`;
const page = readFileSync(PAGE, 'utf8');
const [before, rest] = page.split(BEGIN);
const tables = stored.map(markdown).join('\n\n');
const text = `${before}${BEGIN}\n\n${tables}\n\n${END}${rest.split(END)[1]}`;
const options = { ...(await prettier.resolveConfig(PAGE)), parser: 'markdown' };
const formatted = await prettier.format(text, options);
if (check) {
  if (formatted !== page)
    throw new Error('docs/results.md is not what docs/results.json says; run node scripts/results.mjs.');
} else {
  writeFileSync(STORE, await prettier.format(json, { ...options, parser: 'json' }));
  writeFileSync(PAGE, formatted);
}
