// The learning curves of a run, read from its metrics log: of a run that was interrupted and went on, too.

import { readFileSync } from 'node:fs';

import type { Accuracy } from '../ranking';
import type { Role } from './events';

const POINTS = 100;

interface StepLine {
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly samples: number;
  readonly loss: number | null;
}

interface AccuracyLine {
  readonly step: number;
  readonly epoch: number;
  readonly hitAt10: number;
  readonly ndcgAt10: number;
  readonly hitAt10IncludingSeen: number;
  readonly ndcgAt10IncludingSeen: number;
}

/**
 * Mean training loss over about a hundredth of the steps each, with the epoch at its end; not private.
 *
 * @param path  metrics.jsonl. @param role  Of the two models that a run may train.
 */
export function lossCurve(path: string, role: Role = 'private'): [epoch: number, loss: number][] {
  const curve: [epoch: number, loss: number][] = [];
  let [sum, samples, shown] = [0, 0, 0];
  for (const { step, steps, epoch, samples: count, loss } of linesOf<StepLine>(path, 'step', role)) {
    if (loss !== null && count > 0) [sum, samples] = [sum + loss * count, samples + count];
    const due = Math.floor((step * POINTS) / steps);
    if (due === shown || samples === 0) continue;
    curve.push([epoch, sum / samples]);
    [sum, samples, shown] = [0, 0, due];
  }
  return curve;
}

/** NDCG@10 and HIT@10 of the held-out items, both conventions, as often as they were measured in training; not private. */
export interface AccuracyPoint {
  readonly epoch: number;
  readonly excludingSeen: Accuracy;
  readonly includingSeen: Accuracy;
}

/** @param path  metrics.jsonl of a run with `evaluateEvery`. */
export function accuracyCurve(path: string, role: Role = 'private'): AccuracyPoint[] {
  return linesOf<AccuracyLine>(path, 'accuracy', role).map((line) => ({
    epoch: line.epoch,
    excludingSeen: { hit: line.hitAt10, ndcg: line.ndcgAt10 },
    includingSeen: { hit: line.hitAt10IncludingSeen, ndcg: line.ndcgAt10IncludingSeen },
  }));
}

/** What was measured on held-out data at the end of a run: a line a model or yardstick, numbers by name. */
export interface Measured {
  readonly name: string;
  readonly metrics: Readonly<Record<string, number>>;
}

/** @param path  metrics.jsonl. @returns The last measurement of each; none before the run has ended. */
export function heldOut(path: string): Measured[] {
  const rows = new Map<string, Measured['metrics']>();
  for (const { event, of, scorer, ...rest } of logLines(path)) {
    const name = event === 'held-out' ? of : event === 'accuracy' ? scorer : undefined;
    if (typeof name !== 'string') continue;
    const numbers = Object.entries(rest).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
    rows.set(name, Object.fromEntries(numbers));
  }
  return [...rows].map(([name, metrics]) => ({ name, metrics }));
}

// Steps that a crash lost stand there before the line that says where the run went on.
function linesOf<L extends { readonly step: number }>(path: string, event: 'step' | 'accuracy', role: Role): L[] {
  let lines: L[] = [];
  for (const line of logLines(path)) {
    if (line.event === 'resumed') lines = lines.filter(({ step }) => step <= (line.step as number));
    if (line.event === event && line.role === role) lines.push(line as unknown as L);
  }
  return lines;
}

function logLines(path: string): Readonly<Record<string, unknown>>[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map(parsed)
    .filter((line) => line !== null);
}

// The end of a process may have cut a line off.
function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}
