// What all families of models are held against: numbers of Python's transformers, and files that go there and back.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fromPretrained, type TaskModels, type TaskName } from '../../../../lib/models';
import { namesOf } from '../../../../lib/models/pretrained/family';
import { theirName } from '../../../../lib/models/pretrained/names';
import { perSampleNorms } from '../../../../lib/privacy';
import type { Tensor } from '../../../../lib/tensor';
import { type Expected, folderOf } from './fixtures';

export const flat = (values: unknown): number[] => (Array.isArray(values) ? values.flatMap(flat) : [Number(values)]);

export const numbers = (x: Tensor): number[] =>
  Array.from(x.to('float64').detach().contiguous().toTypedArray() as Float64Array);

/** The largest difference beside the largest number, or 1. */
export function expectNear(got: readonly number[], truth: readonly number[], tolerance: number): void {
  expect(got).toHaveLength(truth.length);
  const scale = Math.max(1, ...truth.map(Math.abs));
  truth.forEach((value, i) => expect(Math.abs(got[i]! - value) / scale).toBeLessThan(tolerance));
}

export interface NormOptions {
  /** What a parameter is called in the file with the truth, where it is not as in the model's own file. */
  readonly present?: (name: string) => string;
  /** Parameters that have another name there because they are tied, and are part of the total alone. Default 0. */
  readonly tied?: number;
}

/** Norms of all parameters together and of each, with bounds that hold, against autograd one example at a time. */
export function expectNorms(
  model: TaskModels[TaskName],
  loss: () => Tensor,
  truth: Expected['norms'],
  { present = (name) => name, tied = 0 }: NormOptions = {},
): void {
  const rules = namesOf(model.origin);
  const { norm, bound, parameters } = perSampleNorms(model, loss);
  const totals = truth.map(({ total }) => total);
  expectNear(Array.from(norm), totals, 1e-9);
  totals.forEach((total, b) => expect(bound[b]).toBeGreaterThanOrEqual(total * (1 - 1e-12)));
  const missing = [...parameters].filter(([path, own]) => {
    const name = present(theirName(rules, path)!);
    const theirs = truth.map((example) => example.parameters[name]);
    if (theirs.includes(undefined)) return true;
    own.forEach((value, b) => expect(Math.abs(value - theirs[b]!)).toBeLessThan(1e-9 * Math.max(1, totals[b]!)));
    return false;
  });
  expect(missing.length).toBeLessThanOrEqual(tied);
}

/** With PHANTOMGRAD_SAVED, what was saved stays there for Python to look at. */
export async function expectSameWhenSaved(name: string, task: TaskName): Promise<void> {
  const kept = process.env.PHANTOMGRAD_SAVED;
  const folder = kept ?? (await mkdtemp(join(tmpdir(), 'phantomgrad-')));
  const tensorsOf = (model: TaskModels[TaskName]): Map<string, Tensor> =>
    new Map<string, Tensor>([...model.namedParameters(), ...model.constants()]);
  const config = async (from: string): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(join(from, 'config.json'), 'utf8')) as Record<string, unknown>;
  try {
    const model = await fromPretrained(folderOf(name), { task });
    await model.savePretrained(join(folder, name));
    const again = await fromPretrained(join(folder, name), { task });
    const loaded = tensorsOf(again);
    for (const [path, tensor] of tensorsOf(model)) expect(loaded.get(path)!.equal(tensor)).toBe(true);
    expect(await config(join(folder, name))).toMatchObject(await config(folderOf(name)));
    model.dispose();
    again.dispose();
  } finally {
    if (kept === undefined) await rm(folder, { recursive: true });
  }
}
