// The metrics log and text tables.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MetricsLog } from '../../../lib/report/metrics-log';
import { textTable } from '../../../lib/report/table';

const folder = mkdtempSync(join(tmpdir(), 'phantomgrad-report-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a line of the metrics log can be read before the log is closed, and belongs to one run only', () => {
  const path = join(folder, 'metrics.jsonl');
  const log = new MetricsLog(path);
  log.write({ step: 1, loss: null });
  expect(readFileSync(path, 'utf8')).toBe('{"step":1,"loss":null}\n');
  log.write({ step: 2, loss: 0.5 });
  log.close();
  log.close();
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(3);
  expect(() => new MetricsLog(path)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
});

test('columns of a table are as wide as their widest cell, numbers to the right', () => {
  const rows = [
    ['a', '1'],
    ['long name', '0.25'],
  ];
  expect(textTable(['', 'value'], rows)).toBe(
    ['           value', '----------------', 'a              1', 'long name   0.25'].join('\n'),
  );
});
