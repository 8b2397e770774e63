// embedding against its plain twin: repeated ids from none to all equal, padding everywhere, scales.

import { fc, test as property } from '@fast-check/jest';
import { fromTypedArray, tensor, torch } from '../../../lib/tensor';
import { ints, sampleSums, step } from './book';
import { expectCertified, expectClose, expectNear, weightedSum } from './numbers';
import { makeIds, Random } from './random';
import { dtype, offsets, repetition, seed, SEEDED, width } from './shapes';

const ops = torch.ops.phantomgrad;
const vocabulary = fc.constantFrom(1, 2, 65, 97, 1000);
const scale = fc.constantFrom(1, 2.5, -0.125, 8);

property.prop([offsets(), width, vocabulary, repetition, fc.boolean(), scale, dtype, seed], { ...SEEDED, numRuns: 60 })(
  'embedding equals its twin',
  (at, d, M, kind, padded, alpha, type, start) => {
    const random = new Random(start);
    const rows = at[at.length - 1]!;
    const ids = ints(makeIds(kind, rows, M, (n) => random.below(n)));
    const padding_id = padded ? 0 : -1;
    const values = random.normals(M * d);
    const u = random.normals(rows * d);
    const table = tensor(values, { dtype: type, shape: [M, d], requiresGrad: true });
    const factors = at.slice(1).map(() => random.uniform());
    let output: Float64Array = new Float64Array();
    const got = step(
      { table },
      at,
      () => {
        const x = ops.embedding(ids, table, { padding_id, scale: alpha });
        output = x.detach().to('float64').toTypedArray() as Float64Array;
        return sampleSums(x.mul(tensor(u, { dtype: type, shape: [rows, d] })).sum([1]), at);
      },
      factors,
    );

    const [x, gradients, norm2] = ops
      .reference_embedding(ids, fromTypedArray(values, [M, d]), fromTypedArray(u, [rows, d]), ints(at), {
        padding_id,
        scale: alpha,
      })
      .map((t) => t.toTypedArray() as Float64Array) as [Float64Array, Float64Array, Float64Array];
    expectClose(output, x, { relative: type === 'float64' ? 0 : 2 ** -23, what: 'output' });
    const exact = [...norm2].map((n) => Math.sqrt(Math.max(0, n)));
    const size = Math.abs(alpha) * u.reduce((sum, value) => sum + Math.abs(value), 0);
    // The input side is added in float64 in either precision.
    expectClose(got.norm, exact, { relative: 1e-12, absolute: 1e-13 * size, what: 'norm' });
    expectCertified(
      got.bound,
      exact.map((n) => n * (1 - 1e-12) - 1e-13 * size),
      { floor: 1e-12 * size },
    );
    expectNear(got.sums['table']!, weightedSum(factors, gradients, M * d), 1e-14 * (rows + 1), {
      scale: size,
      what: 'sum',
    });
  },
);
