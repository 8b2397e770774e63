// Laws of (Re-)Attention on a device: the twin's output, variance and gradients, with every correction, packed and with dropout.

import { fromTypedArray, type Tensor, torch } from '../../../../lib/tensor';
import { expectNear } from '../../ops/numbers';
import { Random } from '../../ops/random';
import { doubles, everyWay, Guarded, longs, numbers } from '../arrays';
import type { Kit } from '../kit';

const CORRECTIONS = ['off', 'logit', 'paper', 'secondOrder'] as const;

interface Case {
  readonly lengths: readonly number[];
  readonly heads: number;
  readonly dim: number;
  readonly causal: boolean;
  readonly dropout: number;
  readonly correction: (typeof CORRECTIONS)[number];
  readonly dtype: 'float32' | 'float64';
  readonly most: number;
}

const CASES: readonly Case[] = [
  {
    lengths: [3, 0, 7],
    heads: 2,
    dim: 5,
    causal: true,
    dropout: 0,
    correction: 'off',
    dtype: 'float64',
    most: Infinity,
  },
  {
    lengths: [65, 1],
    heads: 1,
    dim: 16,
    causal: false,
    dropout: 0,
    correction: 'logit',
    dtype: 'float32',
    most: Infinity,
  },
  {
    lengths: [130, 20],
    heads: 2,
    dim: 32,
    causal: true,
    dropout: 0.3,
    correction: 'logit',
    dtype: 'float32',
    most: 0.1,
  },
  {
    lengths: [9, 70],
    heads: 2,
    dim: 8,
    causal: true,
    dropout: 0,
    correction: 'secondOrder',
    dtype: 'float64',
    most: Infinity,
  },
  { lengths: [30], heads: 1, dim: 70, causal: false, dropout: 0.5, correction: 'paper', dtype: 'float64', most: 2 },
  { lengths: [66], heads: 1, dim: 4, causal: true, dropout: 0.1, correction: 'off', dtype: 'float32', most: Infinity },
];

const MASK = (1n << 64n) - 1n;

// shared/dropout_mask.h in whole numbers of JavaScript.
function mix(x: bigint): bigint {
  x ^= x >> 30n;
  x = (x * 0xbf58476d1ce4e5b9n) & MASK;
  x ^= x >> 27n;
  x = (x * 0x94d049bb133111ebn) & MASK;
  return x ^ (x >> 31n);
}

function streamOf(seed: bigint, step: bigint, site: bigint, sample: bigint, head: bigint): bigint {
  let key = mix((seed + 0x9e3779b97f4a7c15n) & MASK);
  key = mix(key ^ ((step + 0x632be59bd9b4e019n) & MASK));
  key = mix(key ^ ((site + 0xd1342543de82ef95n) & MASK));
  key = mix(key ^ ((sample + 0x2545f4914f6cdd1dn) & MASK));
  return BigInt.asIntN(64, mix((key + head) & MASK));
}

export function attentionLaws(kit: Kit): void {
  test.each(
    CASES.map((c) => [c.correction, c.lengths.join(' '), c.heads, c.dim, c.dtype, c.causal, c.dropout, c] as const),
  )(
    'attention (%s; samples of %s, %d heads of %d, %s, causal %s, dropout %d) has its twin’s output and gradients',
    (correction, _lengths, heads, dim, dtype, causal, dropout, { lengths, most }) => {
      const draw = new Random(heads * 100 + dim);
      const offsets = [0];
      lengths.forEach((length) => offsets.push(offsets.at(-1)! + length));
      const rows = offsets.at(-1)!;
      const width = heads * dim;
      const [q, k, v, g] = [0, 1, 2, 3].map(() => draw.normals(rows * width)) as [
        Float64Array,
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      const [ofKeys, ofValues] = [0, 1].map(() =>
        Float64Array.from({ length: rows * heads }, () => Math.fround(draw.uniform() / 2)),
      ) as [Float64Array, Float64Array];
      const noisy = correction !== 'off';
      const sampleKeys = lengths.map((_, b) => 40 + 3 * b);
      const [seed, step, site] = [5, 6, 7];
      const wide = (x: Float64Array): Tensor => doubles(x, [rows, width]);
      const dropped = { dropout, seed, step, site, sample_keys: longs(sampleKeys), heads, causal };
      const of = torch.ops.phantomgrad;
      const want = (
        noisy
          ? of.reference_re_attention(wide(q), wide(k), wide(v), doubles(ofKeys, [rows, heads]), wide(g), longs(offsets), {
              ...dropped, value_variance: doubles(ofValues, [rows, heads]), correction,
              max_penalty: most === Infinity ? null : most,
            }) // prettier-ignore
          : of.reference_attention(wide(q), wide(k), wide(v), wide(g), longs(offsets), dropped)
      ).map(numbers);

      const on = (x: Float64Array, columns: number): Tensor => kit.on(doubles(x, [rows, columns]).to(dtype));
      const [query, key, value, gradient] = [q, k, v, g].map((x) => on(x, width)) as [Tensor, Tensor, Tensor, Tensor];
      const [keyVariance, valueVariance] = noisy ? [on(ofKeys, heads), on(ofValues, heads)] : [null, null];
      const streams = sampleKeys.flatMap((sample) => Array.from({ length: heads }, (_, head) => streamOf(BigInt(seed), BigInt(step), BigInt(site), BigInt(sample), BigInt(head)))); // prettier-ignore
      const streamsOf =
        dropout === 0 ? null : kit.on(fromTypedArray(BigInt64Array.from(streams), [lengths.length, heads]));
      const longest = Math.max(...lengths);
      const common = [
        query,
        key,
        value,
        kit.on(longs(offsets)),
        heads,
        longest,
        causal,
        dropout,
        streamsOf,
        CORRECTIONS.indexOf(correction),
      ];
      const outputs: Guarded[] = [];
      everyWay(kit, () => {
        const [out, dq, dk, dv] = [0, 1, 2, 3].map(() => new Guarded(kit, rows * width, dtype)) as [
          Guarded,
          Guarded,
          Guarded,
          Guarded,
        ];
        const [lse, plain, variance] = [0, 1, 2].map(() => new Guarded(kit, rows * heads, dtype)) as [
          Guarded,
          Guarded,
          Guarded,
        ];
        const plainLse = correction === 'secondOrder' ? plain.tensor : null;
        kit.kernels.re_attention_forward_!(
          ...common,
          keyVariance,
          valueVariance,
          most,
          out.tensor,
          lse.tensor,
          plainLse,
          noisy ? variance.tensor : null,
        );
        kit.kernels.re_attention_backward_!(
          ...common,
          keyVariance,
          most,
          gradient,
          lse.tensor,
          plainLse,
          dq.tensor,
          dk.tensor,
          dv.tensor,
        );
        outputs.push(out, dq, dk, dv, variance, lse, plain);
        return [out, dq, dk, dv, lse].map(({ tensor }) => tensor);
      });
      outputs.forEach((output) => output.check());
      const tolerance = dtype === 'float32' ? 3e-6 : 1e-12;
      ['output', 'd_query', 'd_key', 'd_value'].forEach((what, i) =>
        expectNear(outputs[i]!.values(), want[i]!, tolerance, { what }),
      );
      if (noisy) expectNear(outputs[4]!.values(), want[4]!, tolerance, { what: 'variance' });
    },
  );

  test('samples that do not fit shared memory are refused', () => {
    const t = kit.on(doubles(new Float64Array(8), [4, 2]).to('float32'));
    const lse = kit.on(doubles(new Float64Array(4)).to('float32'));
    const call = (longest: number): unknown =>
      kit.kernels.re_attention_forward_!(
        t,
        t,
        t,
        kit.on(longs([0, 4])),
        1,
        longest,
        true,
        0,
        null,
        0,
        null,
        null,
        Infinity,
        kit.on(t),
        lse,
        null,
        null,
      );
    expect(() => call(100_000)).toThrow(/shared memory/);
  });
}
