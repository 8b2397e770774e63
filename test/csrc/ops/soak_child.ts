// 2,000 small private steps, all in one process: prints the resident memory every 100 steps, and what the last loss was.
// A child process of soak.test.ts.

import { keep, memory, tidy, torch, zeros } from '../../../lib/tensor';
import { abadi } from '../../../lib/privacy/clip';
import { publicGrid } from '../../../lib/optim';
import { inSegments, OpenBook } from './book';
import { inputs, leaves, makeBatch, makeParameters } from './batch';
import { PATTERNS } from './patterns';
import { Random } from './random';

const ops = torch.ops.phantomgrad;
const STEPS = 2000;
const [M, D] = [150, 16];

const pattern = PATTERNS.find(({ name }) => name.startsWith('a Transformer block'))!;
const random = new Random(1);
const parameters = leaves(makeParameters(pattern, M, D, random), 'float32');
const book = new OpenBook(parameters);
const moments = [zeros([book.arena.numel]), zeros([book.arena.numel])].map(keep) as [
  ReturnType<typeof zeros>,
  ReturnType<typeof zeros>,
];
const sum = keep(ops.book_gradient(book.id));
const noise = ops.noise_source_create();
const clip = abadi({ maxGradNorm: 1 });
const [std, divisor] = [0.01, 8];

// A few shapes in turn, one of them empty: new sizes at every step would measure the allocator's fragments.
const batches = [5, 11, 0, 8, 1, 12, 7].map((samples) => {
  const lengths = Array.from({ length: samples }, () => random.below(30));
  return makeBatch(
    random,
    lengths.reduce((at, n) => [...at, at[at.length - 1]! + n], [0]),
    M,
    D,
    'few',
  );
});

const rss: number[] = [];
const tensors: number[] = [];
let notFinite = 0;
let loss: number[] = [];
for (let step = 1; step <= STEPS; step++) {
  tidy(() => {
    const batch = batches[step % batches.length]!;
    const { at } = batch;
    const own = inputs(batch, D, 'float32');
    const value = inSegments(at, () => pattern.ours(parameters, own));
    if (step % 10 === 0 && at.length > 1) ops.book_check_attribution(book.id, value, [1, ...at.slice(2).map(() => 0)]);
    const { bound } = book.backward(value).norms();
    book.accumulate([...clip.factors(Float64Array.from(bound))]);
    notFinite += ops.private_adam_(
      book.arena,
      moments[0],
      moments[1],
      sum,
      noise,
      std,
      publicGrid(std),
      divisor,
      1e-3,
      0.9,
      0.999,
      1e-8,
      0,
      false,
      step,
    );
    ops.book_parameters_changed(book.id);
    loss = value.toArray() as number[];
  });
  if (step % 100 === 0) {
    globalThis.gc?.();
    rss.push(process.memoryUsage.rss());
    tensors.push(memory().tensors);
  }
}
ops.noise_source_release(noise);
ops.book_detach(book.id);
console.log(JSON.stringify({ rss, tensors, notFinite, lossIsFinite: loss.every(Number.isFinite) }));
