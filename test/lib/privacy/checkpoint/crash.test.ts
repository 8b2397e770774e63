// Crashes at every single file operation: whatever was reached, the folder can be resumed and has paid for all that was released.

import fs from 'node:fs';

import { hasCheckpoint, Ledger, readCheckpoint } from '../../../../lib/privacy';
import { weights } from '../fixture';
import { fresh, kill, open, type Run } from './fixture';

const OPERATIONS = [
  'openSync',
  'writeFileSync',
  'fsyncSync',
  'closeSync',
  'renameSync',
  'mkdirSync',
  'rmSync',
  'linkSync',
] as const;
const HALF = 'writeFileSync';

afterEach(() => jest.restoreAllMocks());

/** Lets `lasting` file operations happen and none after them, as if the process had died there; the last one may be half a write. */
function crashAfter(lasting: number): void {
  let count = 0;
  for (const name of OPERATIONS) {
    const real = fs[name] as (...args: unknown[]) => unknown;
    jest.spyOn(fs, name).mockImplementation(((...args: unknown[]) => {
      count += 1;
      if (count <= lasting) return real(...args);
      if (count === lasting + 1 && name === HALF) real(args[0], halfOf(args[1] as string | Uint8Array), args[2]);
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    }) as never);
  }
}

const halfOf = (content: string | Uint8Array): string | Uint8Array => content.slice(0, content.length / 2);

/** Trains until something throws; counts the updates that were released. */
function trainCounting(run: Run): { released: number; failed: boolean } {
  let released = 0;
  const apply = run.optimizer.applyPrivate.bind(run.optimizer);
  run.optimizer.applyPrivate = (...args) => {
    released += 1;
    return apply(...args);
  };
  try {
    run.train();
    run.checkpoint.close();
    return { released, failed: false };
  } catch {
    return { released, failed: true };
  }
}

const charged = (folder: string): number => Ledger.fromJSON(readCheckpoint(folder).ledger).events[0]?.count ?? 0;

test('at any file operation of a run: what is on disk can be resumed, and says at least what was released', () => {
  let lasting = 0;
  for (; ; lasting += 1) {
    const folder = fresh();
    const plan = { steps: 4, attributionCheck: false };
    const run = open(folder, plan, { every: 2, reserve: 1 });
    crashAfter(lasting);
    const { released, failed } = trainCounting(run);
    jest.restoreAllMocks();
    expect(charged(folder)).toBeGreaterThanOrEqual(released);
    if (!failed) {
      expect(released).toBe(4);
      break;
    }
    kill(run);
    const next = open(folder, plan, { every: 2, reserve: 1 });
    const { steps, lostSteps } = next.engine;
    expect(steps + lostSteps).toBeGreaterThanOrEqual(released);
    expect(steps + lostSteps).toBeLessThanOrEqual(released + 1);
    const rest = trainCounting(next);
    expect(rest.failed).toBe(false);
    expect(next.engine.remainingSteps).toBe(0);
    expect(charged(folder)).toBe(4);
    expect(charged(folder)).toBeGreaterThanOrEqual(released + rest.released);
  }
  expect(lasting).toBeGreaterThan(60);
});

test('at any file operation of the beginning: there is a whole checkpoint, or none', () => {
  for (let lasting = 0; ; lasting += 1) {
    const folder = fresh();
    crashAfter(lasting);
    let run: Run | null = null;
    try {
      run = open(folder);
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_CHECKPOINT_WRITE' });
    }
    jest.restoreAllMocks();
    if (run !== null) {
      kill(run);
      break;
    }
    if (hasCheckpoint(folder)) expect(readCheckpoint(folder).steps).toBe(0);
    else kill(open(folder));
  }
});

test('at any file operation of a resume: the ledger is not lowered, the model is whole, and the next resume works', () => {
  const folder = fresh();
  const first = open(folder);
  first.train(6);
  kill(first);
  const paid = charged(folder);
  for (let lasting = 0; ; lasting += 1) {
    crashAfter(lasting);
    let run: Run | null = null;
    try {
      run = open(folder);
    } catch (error) {
      expect((error as { code: string }).code).toMatch(/^ERR_CHECKPOINT_(WRITE|DAMAGED)$/); // reading opens files, too
    }
    jest.restoreAllMocks();
    fs.rmSync(`${folder}/lock`, { force: true });
    expect(charged(folder)).toBe(paid);
    if (run === null) continue;
    expect(run.engine).toMatchObject({ steps: 4, lostSteps: paid - 4 });
    kill(run);
    break;
  }
});

test('a disk that is full stops the step before it is taken; when there is room again it goes on', () => {
  const folder = fresh();
  const run = open(folder, {}, { reserve: 1 });
  run.train(2);
  const before = weights(run.model);
  crashAfter(0);
  expect(() => run.train(1)).toThrow(
    expect.objectContaining({ code: 'ERR_CHECKPOINT_WRITE', message: expect.stringContaining('ledger.log') }),
  );
  jest.restoreAllMocks();
  expect(weights(run.model)).toEqual(before);
  expect(run.engine.steps).toBe(2);
  expect(charged(folder)).toBe(2);
  run.train();
  run.checkpoint.close();
  expect(run.engine.steps).toBe(12);
  expect(run.engine.lostSteps).toBe(0);
});

test('a path below a file cannot hold a checkpoint, and says so', () => {
  const file = fresh();
  fs.writeFileSync(file, 'mine');
  expect(() => open(`${file}/checkpoint`)).toThrow(expect.objectContaining({ code: 'ERR_CHECKPOINT_WRITE' }));
  expect(fs.readFileSync(file, 'utf8')).toBe('mine');
});
