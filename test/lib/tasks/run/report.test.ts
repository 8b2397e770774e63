// Laws of the report of a run: it is made of the folder alone, shows what was measured there, and says that it is not private.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { trainRecommender, writeReport } from '../../../../lib/tasks';
import { rowName } from '../../../../lib/tasks/run/names';
import { all, parseMarkup } from '../experiments/markup';
import { logFile, path, small } from '../recommender/fixture';

jest.setTimeout(120_000);
const html = (folder: string): string => readFileSync(join(folder, 'report.html'), 'utf8');

test('a run leaves a report with its measurements, curves and statement; made again it is the same', async () => {
  const out = path('reported');
  const { rows, privacy } = await trainRecommender(small(logFile()), { out, evaluateEvery: 1 });
  const written = html(out);
  expect(all(parseMarkup(written), 'svg')).toHaveLength(2); // accuracy in training, loss
  for (const { name, hit } of rows) {
    expect(written).toContain(`<td>${rowName(name)}</td>`);
    expect(written).toContain(`>${Number(hit.toPrecision(4))}</td>`);
  }
  expect(written).toContain('NDCG@10 incl. seen</th>');
  const { text } = JSON.parse(readFileSync(join(out, 'privacy.json'), 'utf8')) as { text: string };
  expect(text).toContain(String(privacy.steps));
  expect(written).toContain(text.slice(0, 20));
  expect(written).toContain('no epsilon covers them');
  rmSync(join(out, 'report.html'));
  expect(await writeReport(out, 'phantomgrad: private recommender')).toBe(join(out, 'report.html'));
  expect(html(out)).toBe(written);
});

test('a run that has not ended says so, and a folder that is none is refused', async () => {
  const out = path('stopped');
  const stop = AbortSignal.abort();
  const { interrupted } = await trainRecommender(small(logFile()), { out, signal: stop });
  expect(interrupted).toBe(true);
  await writeReport(out, 'stopped');
  expect(html(out)).toContain('the run has not ended');
  rmSync(join(out, 'metrics.jsonl'));
  await expect(writeReport(out, 'x')).rejects.toMatchObject({ code: 'ERR_RUN_FOLDER' });
  writeFileSync(join(out, 'metrics.jsonl'), '');
  for (const damaged of ['{', '{}']) {
    writeFileSync(join(out, 'privacy.json'), damaged);
    await expect(writeReport(out, 'x')).rejects.toMatchObject({
      code: 'ERR_RUN_FOLDER',
      message: expect.stringContaining('privacy.json') as string,
    });
  }
});
