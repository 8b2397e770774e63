// `phantomgrad experiment` as a process: what it prints, how it refuses, and what a killed one leaves.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { home, lastJson, phantomgrad } from './command';

jest.setTimeout(300_000); // processes of their own, on a machine that may be busy

const cells = (): unknown[] =>
  (JSON.parse(readFileSync(join(home, 'table', 'results.json'), 'utf8')) as { cells: unknown[] }).cells;

test('a killed experiment keeps its finished cells and goes on behind them', async () => {
  const args = ['experiment', 'paper-table-2', '--quick', '--out', 'table', '--json'];
  const killed = await phantomgrad(args, {
    onError: (child, stderr) => {
      if (stderr.includes('Cell 4 of 21')) child.kill('SIGKILL');
    },
  });
  expect(killed.code).toBeNull();
  const kept = cells();
  expect(kept.length).toBeGreaterThanOrEqual(3);
  expect(kept.length).toBeLessThan(21);
  const ended = await phantomgrad([...args, '--resume']);
  expect(ended.code).toBe(0);
  expect(ended.stderr).not.toContain('Cell 3 of 21');
  expect(cells().slice(0, kept.length)).toEqual(kept);
  const json = lastJson(ended);
  expect(json).toMatchObject({ experiment: 'paper-table-2', quick: true, cells: 21, planned: 21, out: 'table' });
  expect(json.rows).toHaveLength(21);
  expect(ended.stderr).toContain('Epsilon does not cover');
  const ids = (cells() as { row: string; epsilon: number }[]).map(({ row, epsilon }) => `${row} ${epsilon}`);
  expect(new Set(ids).size).toBe(21);
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

interface StoredCell {
  readonly row: string;
  readonly seed: number;
  readonly privacy: { readonly steps: number; readonly lostSteps: number };
}
const storedIn = (out: string): StoredCell[] =>
  (JSON.parse(readFileSync(join(home, out, 'results.json'), 'utf8')) as { cells: StoredCell[] }).cells;

test('cells side by side are each run once, end after their step on Ctrl-C, and go on', async () => {
  const chosen = ['--rows', 'bias,ours-reAttention', '--seeds', '2'];
  const args = ['experiment', 'ideas', '--quick', ...chosen, '--jobs', '2', '--out', 'beside', '--json'];
  let asked = false; // a second time would end the parent at once
  const stopped = await phantomgrad(args, {
    onError: (child, stderr) => {
      if (!asked && stderr.includes(': Step 1 of 2')) asked = child.kill('SIGINT');
    },
  });
  expect(stopped.code).toBe(130);
  for (const title of ['Vanilla, output bias', 'Re-Attention, all three ideas'])
    expect(stopped.stderr).toMatch(new RegExp(`^Cell . of 4: ${title}, epsilon 8, seed 0$`, 'm'));
  expect(stopped.stderr).toMatch(/^[^\n]*, epsilon 8, seed 0: Step 1 of 2/m);
  const kept = storedIn('beside');
  expect(kept.length).toBeLessThan(4);
  const ended = await phantomgrad([...args, '--resume']);
  expect(ended.code).toBe(0);
  const all = storedIn('beside');
  expect(all.slice(0, kept.length)).toEqual(kept);
  expect(new Set(all.map(({ row, seed }) => `${row} ${seed}`)).size).toBe(4);
  expect(all).toHaveLength(4);
  for (const { privacy } of all) expect(privacy).toMatchObject({ steps: 2, lostSteps: 0 });
  expect(lastJson(ended)).toMatchObject({ cells: 4, planned: 4, interrupted: false });
});

/** Processes that `parent` has started; the system keeps the list. */
const childrenOf = (parent: number): number[] =>
  readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

/** A process that has ended may wait for somebody to ask how: it does nothing any more. */
function runs(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('a second Ctrl-C takes the cells along, wherever they are, and the run can go on at once', async () => {
  const args = ['experiment', 'ideas', '--quick', '--rows', 'bias,vanilla', '--jobs', '2', '--out', 'left', '--json'];
  let cells: number[] = [];
  const stopped = await phantomgrad(args, {
    onError: (child, stderr) => {
      if (cells.length > 0 || !stderr.includes(': Step 1 of 2')) return;
      cells = childrenOf(child.pid as number);
      for (const cell of cells) process.kill(cell, 'SIGSTOP'); // a step that does not end
      child.kill('SIGINT');
      setTimeout(() => child.kill('SIGINT'), 1000);
    },
  });
  expect(stopped.code).toBe(130);
  expect(cells.length).toBeGreaterThan(0);
  await new Promise((done) => setTimeout(done, 500));
  const left = cells.filter(runs);
  for (const cell of left) process.kill(cell, 'SIGKILL');
  expect(left).toEqual([]);
  const ended = await phantomgrad([...args, '--resume']);
  expect(ended).toMatchObject({ code: 0, stderr: expect.not.stringContaining('ERR_CHECKPOINT_BUSY') });
  expect(lastJson(ended)).toMatchObject({ cells: 2, planned: 2, interrupted: false });
});

test('where one of several cells fails, its error is told, the others end, and all can go on', async () => {
  const args = ['experiment', 'ideas', '--quick', '--rows', 'vanilla,reAttention', '--jobs', '2', '--out', 'failing'];
  const begun = await phantomgrad([...args, '--rows', 'bias']);
  expect(begun.code).toBe(0);
  const wall = join(home, 'failing', 'cells', 'vanilla-epsilon-8-seed-0');
  mkdirSync(join(home, 'failing', 'cells'));
  writeFileSync(wall, 'not a folder');
  const failed = await phantomgrad([...args, '--resume']);
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toMatch(/^phantomgrad: \[ERR_\w+\] cell vanilla-epsilon-8-seed-0: /m);
  expect(failed.stderr).toContain('Re-Attention, epsilon 8, seed 0: Plan');
  rmSync(wall);
  const ended = await phantomgrad([...args, '--resume']);
  expect(ended.code).toBe(0);
  expect(new Set(storedIn('failing').map(({ row }) => row))).toEqual(new Set(['bias', 'vanilla', 'reAttention']));
});
