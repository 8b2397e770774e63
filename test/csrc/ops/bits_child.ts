// Runs two patterns in both precisions with 1, 2 and 3 threads and prints digests of all bits, and the numbers themselves.
// A child process of bits.test.ts; the environment chooses the instruction set.

import { createHash } from 'node:crypto';

import { setNumThreads } from '../../../lib/tensor';
import { step } from './book';
import { inputs, leaves, makeBatch, makeParameters } from './batch';
import { PATTERNS } from './patterns';
import { Random } from './random';

// Short and long samples, more than one run and one task of every kernel, an empty sample, odd sizes.
const AT = [0, 5, 128, 128, 191, 193, 321, 322, 330, 400, 477];
const CHOSEN = ['a tied table', 'a Transformer block with a tied table', 'two heads on one embedding'];
const [M, D] = [600, 33];

function run(dtype: 'float32' | 'float64'): Record<string, number[]> {
  const numbers: Record<string, number[]> = {};
  for (const pattern of PATTERNS.filter(({ name }) => CHOSEN.includes(name))) {
    const random = new Random(77);
    const values = makeParameters(pattern, M, D, random);
    const all = inputs(makeBatch(random, AT, M, D, 'few'), D, dtype);
    const parameters = leaves(values, dtype);
    const got = step(
      parameters,
      AT,
      () => pattern.ours(parameters, all),
      AT.slice(1).map((_, b) => 1 / (b + 1)),
    );
    numbers[`${dtype} ${pattern.name} norm`] = got.norm;
    numbers[`${dtype} ${pattern.name} bound`] = got.bound;
    for (const [name, sum] of Object.entries(got.sums)) numbers[`${dtype} ${pattern.name} ${name}`] = [...sum];
  }
  return numbers;
}

const digests: string[] = [];
let numbers: Record<string, number[]> = {};
for (const threads of [1, 2, 3]) {
  setNumThreads(threads);
  numbers = { ...run('float32'), ...run('float64') };
  const hash = createHash('sha256');
  for (const values of Object.values(numbers)) hash.update(Float64Array.from(values));
  digests.push(hash.digest('hex'));
}
// Sums are long: a few of their entries and their size tell as much.
const sample = (values: number[]): number[] => [Math.hypot(...values), ...values.filter((_, i) => i % 97 === 0)];
console.log(
  JSON.stringify({
    digests,
    numbers: Object.fromEntries(Object.entries(numbers).map(([key, values]) => [key, sample(values)])),
  }),
);
