// What data may answer to a draw: every drawn record once, in batches of which the last completes the step.

import type { Batch } from '../../../lib/data';
import { poisson } from '../../../lib/privacy';
import { engineFor, histories, smallModel } from './fixture';

const all = histories();
const options = { rowBudget: 20, maxLength: 6 };
const pack = (ids: Int32Array): Batch[] => all.pack(ids, options);

function first(batchSize: number, answer: (drawn: Int32Array) => readonly Batch[]): unknown {
  const engine = engineFor(smallModel(), { sampler: poisson({ batchSize }) });
  return engine.batches({ length: 40, pack: (drawn) => [...answer(drawn)] }).next();
}

test.each<[string, (drawn: Int32Array) => readonly Batch[]]>([
  ['no batch at all, which would have an empty draw drawn again', () => []],
  ['a record less than was drawn', (drawn) => pack(drawn.slice(1))],
  ['a record twice', (drawn) => pack(Int32Array.of(drawn[0] as number, ...drawn))],
  ['no batch that completes the step', (drawn) => pack(drawn).map((batch) => ({ ...batch, completesStep: false }))],
  ['two that do', (drawn) => pack(drawn).map((batch) => ({ ...batch, completesStep: true }))],
])('%s is refused', (_name, answer) => {
  expect(() => first(40, answer)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  expect(first(40, pack)).toMatchObject({ done: false, value: { step: 0 } });
});
