// No sample adds more than C, whatever its gradients are: at the ends of what the numbers hold, norms lose digits, and bounds must not.

import { nn, privacy, tensor, type Tensor, zeros } from '../../../lib';

const flat = (sums: ReadonlyMap<string, Tensor>): number[] =>
  [...sums.values()].flatMap((sum) => [...(sum.toTypedArray() as Float64Array)]);

/** What the samples of a loss add together, in units of C. */
function added(model: nn.Module, loss: () => Tensor, clip: privacy.Clip): number {
  const { sums } = privacy.clippedSum(model, loss, clip);
  const values = flat(sums);
  expect(values.every(Number.isFinite)).toBe(true);
  const largest = Math.max(...values.map(Math.abs));
  return largest === 0 ? 0 : (Math.hypot(...values.map((value) => value / largest)) * largest) / clip.maxGradNorm;
}

const MOST = 1 + 1e-6;

test.each([1, 4, 40])(
  'no sample of %i rows of a float64 layer adds more than C when its gradient nearly vanishes',
  (rows) => {
    class Double extends nn.Module {
      readonly layer = new nn.Linear(6, 5, { dtype: 'float64', init: new nn.Initializer(1) });
      readonly shift = new nn.Parameter(zeros([5], { dtype: 'float64' }));
      readonly table = new nn.Embedding(7, 6, { dtype: 'float64', init: new nn.Initializer(1) });
    }
    for (const scale of [1e-60, 1e-110, 1e-140, 1e-155, 1e-161, 1e-162, 1e-163, 1e-170, 1e-200, 1e-300, 1e-320]) {
      const model = new Double();
      const ids = tensor([Array.from({ length: rows }, (_, t) => BigInt((3 * t) % 7))], { dtype: 'int64' });
      const loss = (): Tensor =>
        nn
          .perSample(model.shift, 1)
          .unsqueeze(1)
          .add(model.layer.forward(model.table.forward(ids)))
          .sum([1, 2])
          .mul(scale);
      expect(added(model, loss, privacy.normalize({ maxGradNorm: 1 }))).toBeLessThanOrEqual(MOST);
      model.dispose();
    }
  },
);

test('a table that is embedding and head at once is not taken for small where its rows are too large for float32 squares', () => {
  class Tied extends nn.Module {
    readonly words = new nn.Embedding(5, 8, { init: new nn.Initializer(1), std: 1 });
    readonly other = new nn.Parameter(zeros([1]));
  }
  for (const large of [1e10, 1e18, 1e19, 4e19, 1e20, 1e25]) {
    const model = new Tied();
    using segments = nn.Segments.equal(1, 2);
    const loss = (): Tensor =>
      nn.withSegments(segments, () => {
        const ids = tensor([1n, 2n], { dtype: 'int64' });
        const hidden = model.words.forward(ids).mul(0).add(large);
        const head = nn.softmaxCrossEntropy(hidden, model.words.weight, tensor([3n, 4n], { dtype: 'int64' }), {
          weights: tensor([1, 0]),
        });
        return head.add(
          nn
            .perSample(model.other, 1)
            .view([1])
            .mul(0.3 * large),
        );
      });
    expect(added(model, loss, privacy.abadi({ maxGradNorm: 1 }))).toBeLessThanOrEqual(MOST);
    model.dispose();
  }
});

test('no sample adds more than C, nor anything that is not finite, whatever its loss was multiplied by', () => {
  class Tied extends nn.Module {
    readonly words = new nn.Embedding(5, 8, { init: new nn.Initializer(1), std: 1 });
  }
  for (const hidden of [1e-38, 1, 1e18])
    for (const upstream of [1e-44, 1e-20, 1, 3e38])
      for (const weight of [1e-30, 1, 1e18])
        for (const maxGradNorm of [1e-9, 1e4]) {
          const model = new Tied();
          using segments = nn.Segments.equal(1, 2);
          const loss = (): Tensor =>
            nn.withSegments(segments, () => {
              const rows = model.words
                .forward(tensor([1n, 2n], { dtype: 'int64' }))
                .mul(0)
                .add(hidden);
              const targets = tensor([3n, 4n], { dtype: 'int64' });
              return nn
                .softmaxCrossEntropy(rows, model.words.weight, targets, { weights: tensor([weight, weight]) })
                .mul(upstream);
            });
          const clip = privacy.automatic({ maxGradNorm });
          const found = added(model, loss, clip);
          if (!(found <= MOST)) throw new Error(`${hidden} ${upstream} ${weight} ${maxGradNorm}: ${found}`);
          model.dispose();
        }
});

test('no sample of a linear layer adds more than C, nor anything that is not finite, wherever in float32 its rows lie', () => {
  const powers = [1e-44, 1e-30, 1, 1e18, 1e25, 3e38];
  for (const [inputs, outputs] of [
    [24, 24],
    [1, 24],
    [1, 1],
  ] as const)
    for (const input of powers)
      for (const output of powers)
        for (const maxGradNorm of [1e-7, 1e4]) {
          const model = new nn.Linear(inputs, outputs, { bias: false, std: 0 });
          const x = zeros([1, 2, inputs]).add(input);
          const loss = (): Tensor => model.forward(x).mul(output).sum([1, 2]);
          for (const clip of [privacy.automatic({ maxGradNorm }), privacy.normalize({ maxGradNorm })]) {
            const found = added(model, loss, clip);
            if (!(found <= MOST))
              throw new Error(`${inputs} ${outputs} ${input} ${output} ${maxGradNorm} ${clip.kind}: ${found}`);
          }
          model.dispose();
        }
});

test('no sample adds more than C where factor and upstream gradient together leave float32', () => {
  class Head extends nn.Module {
    readonly words = new nn.Embedding(5, 8, { init: new nn.Initializer(1), std: 0 });
  }
  using segments = nn.Segments.equal(1, 1);
  for (let k = 0; k < 16; k++) {
    const model = new Head();
    const loss = (): Tensor =>
      nn.withSegments(segments, () =>
        nn
          .softmaxCrossEntropy(zeros([1, 8]).add(1e18), model.words.weight, tensor([3n], { dtype: 'int64' }), {
            weights: tensor([1e19]),
          })
          .mul(1e-17),
      );
    const clip = privacy.normalize({ maxGradNorm: 1e-8 * (1 + k / 4) });
    expect(added(model, loss, clip)).toBeLessThanOrEqual(MOST);
    model.dispose();
  }
});
