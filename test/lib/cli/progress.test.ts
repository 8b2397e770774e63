// Progress lines: few on a pipe, one rewritten line on a terminal, times and small numbers for people.

import { duration, ProgressPrinter, small } from '../../../lib/cli/progress';
import type { StepEvent } from '../../../lib/tasks/recommender';

function printed(isTTY: boolean, steps: number): string {
  let text = '';
  const stream = { isTTY, write: (more: string) => (text += more) } as unknown as NodeJS.WriteStream;
  const printer = new ProgressPrinter(stream);
  for (let step = 1; step <= steps; step++) {
    const event: StepEvent = {
      ...{ kind: 'step', role: 'private', step, steps, epoch: step / 2, learningRate: 0.01 },
      ...{ loss: NaN, samples: 0, skipped: 0, seconds: 30 + step },
    };
    printer.show(event);
  }
  printer.end();
  printer.show({ kind: 'saved', folder: 'model' });
  return text;
}

test('on a pipe the first and the last step have a line, and the others only every few seconds', () => {
  const lines = printed(false, 50).trimEnd().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^Step 1 of 50: .*loss - \(not private\)/);
  expect(lines[0]).not.toContain('left'); // one step says nothing about the others
  expect(lines[1]).toMatch(/^Step 50 of 50/);
  expect(lines[2]).toBe('Saved: model');
});

test('on a terminal a line is rewritten in place and closed before the next note', () => {
  const text = printed(true, 3);
  expect(text.split('\r')).toHaveLength(3);
  expect(text).toMatch(/Step 3 of 3[^\n]*\nSaved: model\n$/);
});

test('the time left follows from the steps after the first', () => {
  let text = '';
  const stream = { isTTY: true, write: (more: string) => (text += more) } as unknown as NodeJS.WriteStream;
  const printer = new ProgressPrinter(stream);
  const step = (k: number, seconds: number): void =>
    printer.show({
      ...{ kind: 'step', role: 'plain', step: k, steps: 11, epoch: 1, learningRate: 1, loss: 1 },
      ...{ samples: 1, skipped: 0, seconds },
    });
  const now = jest.spyOn(Date, 'now').mockReturnValue(1e6);
  step(1, 60);
  now.mockReturnValue(2e6);
  step(2, 62);
  now.mockRestore();
  expect(text).toContain('Step 2 of 11 without privacy');
  expect(text).toContain('18 s left');
});

test('runs that are under way together have lines and times of their own', () => {
  let text = '';
  const stream = { isTTY: false, write: (more: string) => (text += more) } as unknown as NodeJS.WriteStream;
  const printer = new ProgressPrinter(stream);
  const step = (run: string, k: number, seconds: number): void =>
    printer.show(
      {
        ...{ kind: 'step', role: 'private', step: k, steps: 3, epoch: 1, learningRate: 1, loss: 1 },
        ...{ samples: 1, skipped: 0, seconds },
      },
      run,
    );
  for (const k of [1, 2, 3]) for (const [n, run] of ['one', 'two'].entries()) step(run, k, 10 * (n + 1) * k);
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/,.*,/, '')),
  ).toEqual([
    'one: Step 1 of 3: epoch 1.0 rate 1.0',
    'two: Step 1 of 3: epoch 1.0 rate 1.0',
    'one: Step 3 of 3: epoch 1.0 30 s',
    'two: Step 3 of 3: epoch 1.0 1 min 0 s',
  ]);
});

test.each([
  [0.4, '0 s'],
  [59.4, '59 s'],
  [59.6, '1 min 0 s'],
  [200, '3 min 20 s'],
  [7500, '2 h 5 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test.each([
  [1e-6, '1e-6'],
  [6.957e-5, '6.96e-5'],
  [0.001, '0.001'],
  [0.05, '0.05'],
  [1, '1'],
])('%d is written %s', (value, text) => {
  expect(small(value)).toBe(text);
});
