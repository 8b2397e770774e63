// Ways to share parameters, each written twice: with our operators over a packed batch, and with plain operators for one sample.

import { type Tensor, torch } from '../../../lib/tensor';
import { type Inputs, type Pattern, POSITIONS } from './batch';
import { ints, sampleSums } from './book';

const ops = torch.ops.phantomgrad;
const aten = torch.ops.aten;

/** A loss of rows that treats every entry differently. */
const rowLoss = (y: Tensor): Tensor => y.sin().mul(y.add(2)).sum([1]);
const bend = (y: Tensor, { at }: Inputs): Tensor => sampleSums(rowLoss(y), at);
const lookUp = (table: Tensor, ids: Tensor): Tensor => table.indexSelect(0, ids);
const affine = (x: Tensor, w: Tensor, b?: Tensor): Tensor =>
  b === undefined ? x.matmul(w.t()) : x.matmul(w.t()).add(b);

interface HeadOptions {
  readonly scale?: number;
  readonly smoothing?: number;
  readonly bias?: Tensor;
}

function ourHead(
  h: Tensor,
  table: Tensor,
  { targets, weights }: Inputs,
  { scale = 1, smoothing = 0, bias }: HeadOptions = {},
): Tensor {
  return ops.softmax_cross_entropy_head(h, table, targets, weights, bias ?? null, {
    scale,
    label_smoothing: smoothing,
  });
}

function plainHead(
  h: Tensor,
  table: Tensor,
  { targets, weights }: Inputs,
  { scale = 1, smoothing = 0, bias }: HeadOptions = {},
): Tensor {
  const logP = affine(h, table.mul(scale), bias).logSoftmax(1);
  const hit = logP
    .gather(1, targets.unsqueeze(1))
    .squeeze(1)
    .mul(1 - smoothing);
  return hit
    .add(logP.mean([1]).mul(smoothing))
    .mul(weights)
    .sum()
    .neg();
}

function plainAttention(q: Tensor, k: Tensor, v: Tensor): Tensor {
  const rows = q.shape[0]!;
  const future = aten.triu(torch.ones([rows, rows], { dtype: 'bool' }), 1);
  const logits = q.matmul(k.t()).div(Math.sqrt(q.shape[1]!)).maskedFill(future, -Infinity);
  return logits.softmax(1).matmul(v);
}

const CORRECTIONS = ['logit', 'secondOrder', 'paper'] as const;

/** What each row's id is taken to be wrong by. */
const noiseOf = ({ ids }: Inputs, { dtype }: Tensor): Tensor => ids.to(dtype).add(1).sin().square();

// Paper, Eq. 20 and 30, from tensors: the penalties and variances are constants.
function plainReAttention(x: Tensor, noise: Tensor, W: Tensor, b: Tensor, correction: string): [Tensor, Tensor] {
  const d = x.shape[1]!;
  const [q, k, v] = affine(x, W, b).split(d, 1) as [Tensor, Tensor, Tensor];
  const spread = (part: number): Tensor =>
    noise
      .mul(
        W.detach()
          .narrow(0, part * d, d)
          .square()
          .sum()
          .div(d)
          .add(0.01 * d),
      )
      .add(x.detach().square().sum([1]).mul(0.01))
      .add(0.02);
  const future = aten.triu(torch.ones([x.shape[0]!, x.shape[0]!], { dtype: 'bool' }), 1);
  const logits = q.matmul(k.t()).div(Math.sqrt(d)).maskedFill(future, -Infinity);
  const penalty = q
    .detach()
    .square()
    .sum([1], true)
    .mul(spread(1))
    .div(2 * d);
  const plain = logits.softmax(1);
  const weights =
    correction === 'paper'
      ? plain.mul(penalty.neg().exp())
      : logits.sub(correction === 'logit' ? penalty : penalty.mul(plain.detach().mul(-2).add(1))).softmax(1);
  return [weights.matmul(v), weights.detach().square().matmul(spread(2).unsqueeze(1)).squeeze(1)];
}

function ourReAttention(
  x: Tensor,
  noise: Tensor,
  W: Tensor,
  b: Tensor,
  correction: string,
  { at }: Inputs,
): [Tensor, Tensor] {
  const d = x.shape[1]!;
  const [q, k, v] = ops.linear(x, W, b).split(d, 1) as [Tensor, Tensor, Tensor];
  const spread = ops.linear_variance(x, noise, W, { weight_variance: 0.01, bias_variance: 0.02, groups: 3 });
  const [y, variance] = ops.re_attention(q, k, v, spread.narrow(1, 1, 1), ints(at), {
    correction,
    value_variance: spread.narrow(1, 2, 1),
  });
  return [y, variance.squeeze(1)];
}

/** `[rows, 3]` ids, some of them equal. */
const candidates = (s: Inputs): Tensor => aten.stack([s.targets, s.others, s.ids], 1);
/** `[rows, 3, d]` */
const spread = (x: Tensor): Tensor => aten.stack([x, x.sin(), x.mul(2)], 1);
/** `[rows, 1, 3, d]` */
const picture = (x: Tensor): Tensor => spread(x).unsqueeze(1);

export const PATTERNS: readonly Pattern[] = [
  {
    name: 'a linear layer called twice',
    shapes: (_, d) => ({ W: [d, d], b: [d] }),
    ours: ({ W, b }, s) => bend(ops.linear(ops.linear(s.x, W!, b).tanh(), W!, b), s),
    plain: ({ W, b }, s) => rowLoss(affine(affine(s.x, W!, b).tanh(), W!, b)).sum(),
  },
  {
    name: 'an embedding used twice in one forward',
    shapes: (M, d) => ({ E: [M, d] }),
    ours: ({ E }, s) => bend(ops.embedding(s.ids, E!).mul(ops.embedding(s.others, E!, { scale: 2, padding_id: 1 })), s),
    // The padding id is seen but gets no gradient.
    plain: ({ E }, s) => {
      const seen = s.others.eq(1).unsqueeze(1);
      const other = lookUp(E!, s.others);
      return rowLoss(lookUp(E!, s.ids).mul(aten.where(seen, other.detach(), other).mul(2))).sum();
    },
  },
  {
    name: 'a tied table',
    shapes: (M, d) => ({ E: [M, d], W: [d, d] }),
    ours: ({ E, W }, s) =>
      ourHead(ops.linear(ops.embedding(s.ids, E!, { scale: 3 }), W!).tanh(), E!, s, { scale: 0.5, smoothing: 0.1 }),
    plain: ({ E, W }, s) =>
      plainHead(affine(lookUp(E!, s.ids).mul(3), W!).tanh(), E!, s, { scale: 0.5, smoothing: 0.1 }),
  },
  {
    name: 'encoder, decoder and head on one table',
    shapes: (M, d) => ({ E: [M, d], bias: [M] }),
    ours: ({ E, bias }, s) =>
      ourHead(
        ops.embedding(s.ids, E!, { scale: 2 }).tanh().add(ops.embedding(s.others, E!)),
        E!,
        s,
        bias === undefined ? {} : { bias },
      ),
    plain: ({ E, bias }, s) =>
      plainHead(lookUp(E!, s.ids).mul(2).tanh().add(lookUp(E!, s.others)), E!, s, bias === undefined ? {} : { bias }),
  },
  {
    name: 'a tied table that is a linear weight too',
    shapes: (M, d) => ({ E: [M, d] }),
    ours: ({ E }, s) => {
      const x = ops.embedding(s.ids, E!);
      return bend(ops.linear(x.tanh(), E!), s).add(ourHead(x.add(s.x), E!, s));
    },
    plain: ({ E }, s) => {
      const x = lookUp(E!, s.ids);
      return rowLoss(affine(x.tanh(), E!))
        .sum()
        .add(plainHead(x.add(s.x), E!, s));
    },
  },
  {
    name: 'two heads on one embedding',
    shapes: (M, d) => ({ E: [M, d] }),
    ours: ({ E }, s) => {
      const x = ops.embedding(s.ids, E!);
      return ourHead(x.tanh(), E!, s).add(ourHead(x.add(s.x), E!, { ...s, targets: s.others }, { smoothing: 0.2 }));
    },
    plain: ({ E }, s) => {
      const x = lookUp(E!, s.ids);
      return plainHead(x.tanh(), E!, s).add(plainHead(x.add(s.x), E!, { ...s, targets: s.others }, { smoothing: 0.2 }));
    },
  },
  {
    name: 'a bias shared by two layers',
    shapes: (_, d) => ({ V: [3, d], W: [3, d], b: [3] }),
    ours: ({ V, W, b }, s) => bend(ops.linear(s.x, V!, b).mul(ops.linear(s.x.tanh(), W!, b)), s),
    plain: ({ V, W, b }, s) => rowLoss(affine(s.x, V!, b).mul(affine(s.x.tanh(), W!, b))).sum(),
  },
  {
    name: 'a LayerNorm called twice',
    shapes: (_, d) => ({ gamma: [d], beta: [d] }),
    ours: ({ gamma, beta }, s) =>
      bend(ops.layer_norm(ops.layer_norm(s.x, gamma!, beta, 0.1).tanh(), gamma!, beta, 0.1), s),
    plain: ({ gamma, beta }, s) => {
      const n = (x: Tensor): Tensor => aten.layer_norm(x, gamma!.shape, gamma, beta, 0.1);
      return rowLoss(n(n(s.x).tanh())).sum();
    },
  },
  {
    name: 'perSample of a scalar, and of a weight that a linear layer uses too',
    shapes: (_, d) => ({ s: [], W: [3, d] }),
    ours: ({ s, W }, batch) => {
      const samples = batch.at.length - 1;
      const y = ops.linear(batch.x, W!);
      const weight = ops.per_sample(W!, samples);
      const rowsOfSample = sampleSums(rowLoss(y), batch.at);
      return rowsOfSample.mul(ops.per_sample(s!, samples)).add(
        weight
          .sin()
          .sum([1, 2])
          .mul(sampleSums(torch.ones([batch.x.shape[0]!], { dtype: batch.x.dtype }), batch.at)),
      );
    },
    plain: ({ s, W }, sample) =>
      rowLoss(affine(sample.x, W!)).sum().mul(s!).add(W!.sin().sum().mul(sample.x.shape[0]!)),
  },
  {
    name: 'one matrix from both sides',
    shapes: (_, d) => ({ W: [d, d], b: [d] }),
    ours: ({ W, b }, s) =>
      bend(ops.linear(ops.linear(s.x, W!, b, { transposed: true }).tanh(), W!, b).add(ops.linear(s.x, W!)), s),
    plain: ({ W, b }, s) => rowLoss(affine(s.x.matmul(W!).add(b!).tanh(), W!, b).add(affine(s.x, W!))).sum(),
  },
  {
    name: 'a recurrence: every matrix and bias used three times',
    shapes: (_, d) => ({ W: [d, d], U: [d, d], b: [d], c: [d] }),
    ours: ({ W, U, b, c }, s) => {
      let h = s.x.mul(0);
      for (let t = 0; t < 3; t += 1)
        h = ops
          .linear(s.x.mul(t + 1), W!, b)
          .add(ops.linear(h, U!, c))
          .tanh();
      return bend(h, s);
    },
    plain: ({ W, U, b, c }, s) => {
      let h = s.x.mul(0);
      for (let t = 0; t < 3; t += 1)
        h = affine(s.x.mul(t + 1), W!, b)
          .add(affine(h, U!, c))
          .tanh();
      return rowLoss(h).sum();
    },
  },
  {
    name: 'scales and shifts of features, and a learned scalar',
    shapes: (_, d) => ({ gamma: [d], beta: [d], s: [] }),
    ours: ({ gamma, beta, s: scalar }, s) =>
      bend(ops.affine(ops.affine(ops.affine(s.x, gamma, beta).tanh(), gamma), scalar), s),
    plain: ({ gamma, beta, s: scalar }, s) => rowLoss(s.x.mul(gamma!).add(beta!).tanh().mul(gamma!).mul(scalar!)).sum(),
  },
  {
    name: 'a scale of channels with places behind them',
    shapes: () => ({ gamma: [3], beta: [3] }),
    ours: ({ gamma, beta }, s) => bend(ops.affine(spread(s.x), gamma, beta, 1).reshape([-1, 3 * s.x.shape[1]!]), s),
    plain: ({ gamma, beta }, s) =>
      rowLoss(
        spread(s.x)
          .mul(gamma!.view([3, 1]))
          .add(beta!.view([3, 1]))
          .reshape([-1, 3 * s.x.shape[1]!]),
      ).sum(),
  },
  {
    name: 'a convolution called twice, over the features of each row',
    shapes: (_, d) => ({ K: [2, 2, Math.min(2, d)], b: [2] }),
    ours: ({ K, b }, s) => {
      const pair = s.x.unsqueeze(1).expand([-1, 2, -1]);
      const pass = (x: Tensor): Tensor => ops.convolution(x, K!, b, [1], [1], [1]);
      return bend(pass(pass(pair).tanh()).flatten(1), s);
    },
    plain: ({ K, b }, s) => {
      const pair = s.x.unsqueeze(1).expand([-1, 2, -1]);
      const pass = (x: Tensor): Tensor => aten.conv1d(x, K!, b, [1], [1], [1]);
      return rowLoss(pass(pass(pair).tanh()).flatten(1)).sum();
    },
  },
  {
    name: 'a strided and a depthwise convolution in two dimensions',
    shapes: (_, d) => ({ K: [4, 1, 2, d < 3 ? 1 : 3], b: [4], D: [4, 1, 2, 1], c: [4] }),
    ours: ({ K, b, D, c }, s) => {
      const y = ops.convolution(picture(s.x), K!, b, [2, 1], [1, 1], [1, 2]).tanh();
      return bend(ops.convolution(y, D!, c, [1, 1], [1, 0], [1, 1], 4).flatten(1), s);
    },
    plain: ({ K, b, D, c }, s) => {
      const y = aten.conv2d(picture(s.x), K!, b, [2, 1], [1, 1], [1, 2]).tanh();
      return rowLoss(aten.conv2d(y, D!, c, [1, 1], [1, 0], [1, 1], 4).flatten(1)).sum();
    },
  },
  {
    name: 'sampled candidates of a tied table',
    shapes: (M, d) => ({ E: [M, d], b: [M] }),
    ours: ({ E, b }, s) => {
      const h = ops.embedding(s.ids, E!, { scale: 2 }).add(s.x).tanh();
      return bend(ops.candidate_scores(h, E!, candidates(s), b), s);
    },
    plain: ({ E, b }, s) => {
      const h = lookUp(E!, s.ids).mul(2).add(s.x).tanh();
      const chosen = lookUp(E!, candidates(s).flatten()).view([-1, 3, h.shape[1]!]);
      const scores = chosen.matmul(h.unsqueeze(2)).squeeze(2);
      return rowLoss(scores.add(b!.indexSelect(0, candidates(s).flatten()).view([-1, 3]))).sum();
    },
  },
  {
    name: 'declared uses from the left, from the right and by id',
    shapes: (M, d) => ({ E: [M, d], W: [d, d] }),
    ours: ({ E, W }, s) => {
      const x = ops.declare_use(lookUp(E!.detach(), s.ids).mul(3), E!, { ids: s.ids, scale: 3 });
      const y = ops.declare_use(x.matmul(W!.detach().t()), W!, { right: x }).tanh();
      return bend(ops.declare_use(y.matmul(W!.detach()), W!, { left: y }), s);
    },
    plain: ({ E, W }, s) => rowLoss(affine(lookUp(E!, s.ids).mul(3), W!).tanh().matmul(W!)).sum(),
  },
  {
    name: 'one table used in every way there is',
    shapes: (M, d) => ({ E: [M, d] }),
    ours: ({ E }, s) => {
      const x = ops.embedding(s.ids, E!).add(s.x).tanh();
      const own = ops
        .per_sample(E!, s.at.length - 1)
        .cos()
        .sum([1, 2]);
      const head = ourHead(x, E!, s, { smoothing: 0.1 });
      return bend(ops.linear(x, E!), s)
        .add(bend(ops.candidate_scores(x, E!, candidates(s)), s))
        .add(head)
        .add(own.mul(sampleSums(torch.ones([s.x.shape[0]!], { dtype: s.x.dtype }), s.at)));
    },
    plain: ({ E }, s) => {
      const x = lookUp(E!, s.ids).add(s.x).tanh();
      const chosen = lookUp(E!, candidates(s).flatten()).view([-1, 3, x.shape[1]!]);
      return rowLoss(affine(x, E!))
        .sum()
        .add(rowLoss(chosen.matmul(x.unsqueeze(2)).squeeze(2)).sum())
        .add(plainHead(x, E!, s, { smoothing: 0.1 }))
        .add(E!.cos().sum().mul(s.x.shape[0]!));
    },
  },
  {
    name: 'Re-Attention three times over noisy rows of a tied table',
    shapes: (M, d) => ({ E: [M, d], W: [3 * d, d], b: [3 * d] }),
    ours: ({ E, W, b }, s) => {
      let x = ops.embedding(s.ids, E!, { scale: 2 }).add(s.x);
      let noise = noiseOf(s, x);
      for (const correction of CORRECTIONS) {
        const [y, variance] = ourReAttention(x, noise, W!, b!, correction, s);
        [x, noise] = [x.add(y).tanh(), noise.add(variance)];
      }
      return ourHead(x, E!, s);
    },
    plain: ({ E, W, b }, s) => {
      let x = lookUp(E!, s.ids).mul(2).add(s.x);
      let noise = noiseOf(s, x);
      for (const correction of CORRECTIONS) {
        const [y, variance] = plainReAttention(x, noise, W!, b!, correction);
        [x, noise] = [x.add(y).tanh(), noise.add(variance)];
      }
      return plainHead(x, E!, s);
    },
  },
  {
    name: 'a Transformer block with a tied table',
    shapes: (M, d) => ({
      E: [M, d],
      P: [POSITIONS, d],
      gamma: [d],
      beta: [d],
      Q: [3 * d, d],
      q: [3 * d],
      O: [d, d],
      U: [2 * d, d],
      u: [2 * d],
      D: [d, 2 * d],
      bias: [M],
    }),
    ours: (p, s) => {
      const d = p['E']!.shape[1]!;
      const x = ops.embedding(s.ids, p['E']!, { scale: 2 }).add(ops.embedding(s.positions, p['P']!));
      const n = ops.layer_norm(x, p['gamma']!, p['beta'], 0.1);
      const [q, k, v] = ops.linear(n, p['Q']!, p['q']).split(d, 1) as [Tensor, Tensor, Tensor];
      const y = x.add(ops.linear(ops.attention(q, k, v, ints(s.at)), p['O']!));
      const inner = ops.linear(ops.layer_norm(y, p['gamma']!, p['beta'], 0.1), p['U']!, p['u']).gelu();
      return ourHead(y.add(ops.linear(inner, p['D']!)), p['E']!, s, { smoothing: 0.1, bias: p['bias']! });
    },
    plain: (p, s) => {
      const d = p['E']!.shape[1]!;
      const norm = (z: Tensor): Tensor => aten.layer_norm(z, [d], p['gamma'], p['beta'], 0.1);
      const x = lookUp(p['E']!, s.ids).mul(2).add(lookUp(p['P']!, s.positions));
      const [q, k, v] = affine(norm(x), p['Q']!, p['q']).split(d, 1) as [Tensor, Tensor, Tensor];
      const y = x.add(affine(plainAttention(q, k, v), p['O']!));
      return plainHead(y.add(affine(affine(norm(y), p['U']!, p['u']).gelu(), p['D']!)), p['E']!, s, {
        smoothing: 0.1,
        bias: p['bias']!,
      });
    },
  },
];
