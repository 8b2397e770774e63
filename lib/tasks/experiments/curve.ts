// The learning curve of a run, read from its metrics log: of a run that was interrupted and went on, too.

import { readFileSync } from 'node:fs';

import type { Role } from '../recommender';

const POINTS = 100;

interface StepLine {
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly samples: number;
  readonly loss: number | null;
}

/**
 * Mean training loss over about a hundredth of the steps each, with the epoch at its end; not private.
 *
 * @param path  metrics.jsonl. @param role  Of the two models that a run may train.
 */
export function lossCurve(path: string, role: Role = 'private'): [epoch: number, loss: number][] {
  const curve: [epoch: number, loss: number][] = [];
  let [sum, samples, shown] = [0, 0, 0];
  for (const { step, steps, epoch, samples: count, loss } of stepsIn(path, role)) {
    if (loss !== null && count > 0) [sum, samples] = [sum + loss * count, samples + count];
    const due = Math.floor((step * POINTS) / steps);
    if (due === shown || samples === 0) continue;
    curve.push([epoch, sum / samples]);
    [sum, samples, shown] = [0, 0, due];
  }
  return curve;
}

// Steps that a crash lost stand there before the line that says where the run went on.
function stepsIn(path: string, role: Role): StepLine[] {
  let steps: StepLine[] = [];
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    const line = parsed(text);
    if (line?.event === 'resumed') steps = steps.filter(({ step }) => step <= (line as unknown as StepLine).step);
    if (line?.event === 'step' && line.role === role) steps.push(line as unknown as StepLine);
  }
  return steps;
}

// The end of a process may have cut a line off.
function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}
