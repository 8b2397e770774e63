// What must be the same when a run is continued: the plan, the model, the optimizer, the data; and what differs.

import { VERSION } from '../../version';
import type { Optimizer } from '../../optim';
import type { TrainableModel } from '../attached';
import { type GroupAssignment, isAdaptive } from '../clip';
import type { DpPlan } from '../plan';
import type { Sampler } from '../sampling';

/** Data that can say which data they are. Two data sets with one fingerprint count as the same. */
export interface Fingerprinted {
  fingerprint(): string;
}

export interface Described {
  readonly plan: DpPlan;
  readonly groups: GroupAssignment | null;
  readonly model: TrainableModel;
  readonly optimizer: Optimizer;
  readonly data: Fingerprinted;
  readonly configuration: unknown;
}

/** Plain JSON. Equal descriptions: the ledger of the one run is valid for the other. */
export function describeRun({ plan, groups, model, optimizer, data, configuration }: Described): unknown {
  const { sampler, clip, accountant, event: _event, expectedBatchSize: _batch, scales, rowSteps, ...rest } = plan;
  // What is not used is not named: such runs are described as they were before there were scales and row steps.
  const numbers = { ...rest, ...(scales === null ? {} : { scales }), ...(rowSteps === null ? {} : { rowSteps }) };
  const parameters = [...model.namedParameters()].map(
    ([name, { dtype, shape, requiresGrad }]) =>
      [name, `${dtype} [${shape.join(', ')}]${requiresGrad ? '' : ', frozen'}`] as const,
  );
  return plainJson({
    phantomgrad: VERSION,
    plan: { ...numbers, accountant: accountant.name, sampler: samplerOf(sampler) },
    clip: {
      kind: clip.kind,
      maxGradNorm: clip.maxGradNorm,
      slack: clip.slack,
      settings: clip.settings,
      limits: isAdaptive(clip) ? clip.limits : null,
      groups: groups?.groups.map(({ name, share }) => `${name}: ${share}`) ?? null,
      groupOf: groups === null ? null : [...groups.groupOf].join(' '),
    },
    model: { config: (model as { config?: unknown }).config ?? null, parameters: Object.fromEntries(parameters) },
    order: parameters.map(([name]) => name).join(' '), // moments lie in the order of the parameters
    optimizer: { kind: optimizer.kind, ...optimizer.settings },
    data: data.fingerprint(),
    configuration: configuration ?? null,
  });
}

// With the largest batch of samplers that cut: another one is another mechanism.
function samplerOf({ kind, batchSize, ...rest }: Sampler & { readonly maxBatchSize?: number }): object {
  const { maxBatchSize } = rest;
  return { kind, batchSize, ...(maxBatchSize === undefined ? {} : { maxBatchSize }) };
}

const LISTED = 40; // of a list of frequencies thousands may differ

/** One line for every value that is not the same: path, what the checkpoint says, what is so now. */
export function differences(there: unknown, now: unknown): string[] {
  const [before, after] = [leaves(there), leaves(now)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].filter(
    (path) => before.get(path) !== after.get(path),
  );
  const lines = paths.map(
    (path) => `${path}: ${before.get(path) ?? 'absent'} in the checkpoint, ${after.get(path) ?? 'absent'} now`,
  );
  return lines.length <= LISTED ? lines : [...lines.slice(0, LISTED), `and ${lines.length - LISTED} more`];
}

/** As it comes back from a file; numbers that JSON lacks are written as text. */
export function plainJson(value: unknown): unknown {
  const text = JSON.stringify(value, (_, entry: unknown) =>
    typeof entry === 'number' && !Number.isFinite(entry)
      ? String(entry)
      : ArrayBuffer.isView(entry)
        ? [...(entry as Float64Array)]
        : entry,
  );
  return text === undefined ? null : JSON.parse(text);
}

function leaves(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null) return new Map([[path, JSON.stringify(value)]]);
  const inside = Object.entries(value);
  if (inside.length === 0) return new Map([[path, Array.isArray(value) ? '[]' : '{}']]);
  return new Map(inside.flatMap(([name, entry]) => [...leaves(entry, path === '' ? name : `${path}.${name}`)]));
}
