// `phantomgrad experiment` as a process: what it prints, how it refuses, and what a killed one leaves.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { home, lastJson, phantomgrad } from './command';

jest.setTimeout(300_000); // processes of their own, on a machine that may be busy

const cells = (): unknown[] =>
  (JSON.parse(readFileSync(join(home, 'table', 'results.json'), 'utf8')) as { cells: unknown[] }).cells;

test('a killed experiment keeps its finished cells and goes on behind them', async () => {
  const args = ['experiment', 'paper-table-2', '--quick', '--out', 'table', '--json'];
  const killed = await phantomgrad(args, {
    onError: (child, stderr) => {
      if (stderr.includes('Cell 4 of 15')) child.kill('SIGKILL');
    },
  });
  expect(killed.code).toBeNull();
  const kept = cells();
  expect(kept.length).toBeGreaterThanOrEqual(3);
  expect(kept.length).toBeLessThan(15);
  const ended = await phantomgrad([...args, '--resume']);
  expect(ended.code).toBe(0);
  expect(ended.stderr).not.toContain('Cell 3 of 15');
  expect(cells().slice(0, kept.length)).toEqual(kept);
  const json = lastJson(ended);
  expect(json).toMatchObject({ experiment: 'paper-table-2', quick: true, cells: 15, planned: 15, out: 'table' });
  expect(json.rows).toHaveLength(15);
  expect(ended.stderr).toContain('Epsilon does not cover');
  const ids = (cells() as { row: string; epsilon: number }[]).map(({ row, epsilon }) => `${row} ${epsilon}`);
  expect(new Set(ids).size).toBe(15);
  const idle = await phantomgrad([...args, '--resume']);
  expect(idle.stderr).not.toMatch(/Cell \d/);
});

test('an unknown experiment is refused with the known ones; table 1 prints both sides', async () => {
  const refused = await phantomgrad(['experiment', 'table-7']);
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^phantomgrad: \[ERR_INVALID_ARGUMENT\].*paper-table-1, paper-table-2/),
  });
  const nowhere = await phantomgrad(['experiment', 'paper-table-2', '--quick', '--resume']);
  expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('--out') });
  const { code, stdout } = await phantomgrad(['experiment', 'paper-table-1', '--out', 'one']);
  expect(code).toBe(0);
  for (const text of ['0.34085', '0.3408', '2.50e-0', 'misprint']) expect(stdout).toContain(text);
});

test('figure 8 measures every size in a process of its own', async () => {
  const { code, stdout } = await phantomgrad(['experiment', 'paper-fig-8', '--quick', '--out', 'eight', '--json']);
  expect(code).toBe(0);
  const { rows } = lastJson({ code, stdout, stderr: '' });
  const cells = rows as {
    variant: string;
    batch: number;
    cost: { secondsPerStep: number[]; peakMb: number; baseMb: number };
  }[];
  expect(cells.map(({ variant, batch }) => `${variant} ${batch}`)).toEqual(
    ['ours', 'pieces', 'ghost', 'plain'].map((variant) => `${variant} 16`),
  );
  for (const { cost } of cells) {
    expect(cost.secondsPerStep).toHaveLength(1);
    expect(cost.peakMb).toBeGreaterThan(cost.baseMb);
  }
});
