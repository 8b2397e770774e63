// What the language-model experiment prints: for a terminal, and as report.html.

import { figure, heading, list, page, paragraph, preformatted, table } from '../../../report/html';
import { lineChart } from '../../../report/line-chart';
import { textTable } from '../../../report/table';
import { statistic } from '../summary';
import type { TextResults } from './results';
import { TEXT_NOT_COVERED, TEXT_ROWS } from './settings';

const HEADER = ['model', 'spent', 'noise', 'seeds', 'loss (nats)', 'bits a character', 's an epoch'];

export const TEXT_TITLE = 'TinyShakespeare (D.7): characters, from scratch';

/** A line a model: means over seeds, the worst ε. */
export function textLines({ cells, yardsticks }: TextResults): string[][] {
  const rows = TEXT_ROWS.map(({ id, name }) => {
    const own = cells.filter((cell) => cell.row === id);
    const over = (value: (cell: (typeof own)[number]) => number): string => {
      const found = statistic(own.map(value));
      if (found === null) return '';
      return found.spread === null ? found.mean.toFixed(3) : `${found.mean.toFixed(3)} ± ${found.spread.toFixed(3)}`;
    };
    const spent = own.flatMap(({ privacy }) => (privacy === null ? [] : [privacy]));
    return [
      name,
      spent.length === 0 ? '' : (Math.ceil(Math.max(...spent.map(({ epsilon }) => epsilon)) * 1000) / 1000).toFixed(3),
      spent[0]?.noiseMultiplier.toFixed(3) ?? '',
      own.length === 0 ? '' : String(own.length),
      over(({ validationLoss }) => validationLoss),
      over(({ bitsPerCharacter }) => bitsPerCharacter),
      over(({ secondsPerEpoch }) => secondsPerEpoch),
    ];
  });
  const counted = (name: string, bits: number): string[] => [
    name,
    ...['', '', ''],
    (bits * Math.LN2).toFixed(3),
    bits.toFixed(3),
    '',
  ];
  return [
    ...rows,
    counted('counts of pairs, no privacy', yardsticks.pair),
    counted('counts of characters, no privacy', yardsticks.single),
  ];
}

function remarks({ data, settings, cells, quick }: TextResults): string[] {
  const { model, epochs, batchSize, rates, samples } = settings;
  const delta = cells.find(({ privacy }) => privacy !== null)?.privacy?.delta;
  return [
    `Privacy unit: one block of ${data.blockLength} characters of ${data.name}, for neighbours that add or remove one block` +
      `${delta === undefined ? '' : `, at delta ${delta.toExponential(1)}`}. ${data.blocks} blocks train, ${data.validationBlocks} at the end ` +
      `of the text are held out. The alphabet of ${data.alphabet} characters is public: newline and printable ASCII.`,
    `Width ${model.dim}, ${model.heads} heads, ${model.blocks} blocks, ${model.maxLength} predictions a block, dropout ${model.dropout}; ` +
      `${epochs} epochs, at most ${batchSize} blocks a step, Adam at ${rates.private} (without privacy ${rates.plain}), normalised gradients. ` +
      `Texts: temperature ${samples.temperature}, seeds from ${samples.seed}.`,
    'The paper says width, heads, blocks, epochs, dropout and optimizer. Block length, batch size, rates and epsilon are chosen here, ' +
      'and the blocks normalise before each half.',
    ...(quick ? ['A quick run: it shows that everything works, not how well anything is learned.'] : []),
  ];
}

/** For a terminal. */
export function textText(results: TextResults): string {
  const sample = results.cells.find(({ row }) => row === 'reAttention')?.samples[0];
  return [
    TEXT_TITLE,
    '',
    textTable(HEADER, textLines(results)),
    '',
    ...remarks(results),
    ...(sample === undefined ? [] : ['', 'Drawn from the private model with Re-Attention:', sample]),
  ].join('\n');
}

/** report.html. */
export function textReport(results: TextResults): string {
  const first = TEXT_ROWS.flatMap(({ id, name }) => {
    const cell = results.cells.find(({ row }) => row === id);
    return cell === undefined ? [] : [{ name, cell }];
  });
  const curves = first.map(({ name, cell }) => ({ name, points: cell.losses }));
  return page(`phantomgrad: ${TEXT_TITLE}`, [
    paragraph('Cross entropy on held-out text. An empty cell was not run.'),
    table(HEADER, textLines(results)),
    ...remarks(results).map(paragraph),
    heading(2, 'Learning curves'),
    paragraph('Training loss of the first seed, nats a character. Computed from the text without noise.'),
    figure(lineChart(curves, { x: 'epoch', y: 'loss' }), 'training loss'),
    heading(2, 'Texts drawn from the models'),
    ...first.flatMap(({ name, cell }) => [heading(3, name), ...cell.samples.map(preformatted)]),
    heading(2, 'What epsilon does not cover'),
    list(TEXT_NOT_COVERED),
  ]);
}
