// Image families against Python's transformers, and while they are trained: logits, losses, norms, files, private steps, refusals.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { imageBatch, ImageExampleDataset, type ImageExample } from '../../../../lib/data';
import { fromConfig, fromPretrained } from '../../../../lib/models';
import { DropPath } from '../../../../lib/models/pretrained/drop-path';
import { biasesOnly, Initializer, lora, Segments, withSegments } from '../../../../lib/nn';
import { sgd } from '../../../../lib/optim';
import { abadi, checkIndependence, perSampleNorms, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { noGrad, ones, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';
import { thrown } from '../../data/support';
import { type Expected, folderOf } from './fixtures';
import { expectNear, expectNorms, expectSameWhenSaved, numbers } from './truth';

// Models this small lose more to waiting for a second thread than they gain.
beforeAll(() => setNumThreads(1));

/** The cases of scripts/fixtures/image_models.py with their tasks. */
const CASES = [
  ['vit-classifier', 'image-classification'],
  ['deit-multi-label', 'image-classification'],
  ['deit-teacher', 'image-classification-with-teacher'],
  ['beit-distances', 'image-classification'],
  ['beit-shared', 'image-classification'],
  ['beit-plain', 'image-classification'],
] as const;

interface ExpectedOfImages extends Pick<Expected, 'losses' | 'norms'> {
  readonly shape: readonly [number, number, number];
  readonly examples: readonly ImageExample[];
  readonly logits: readonly (readonly number[])[];
}

describe.each(CASES)('%s', (name, task) => {
  let truth: ExpectedOfImages;
  beforeAll(async () => {
    truth = JSON.parse(await readFile(join(folderOf(name), 'expected.json'), 'utf8')) as ExpectedOfImages;
  });
  const open = (dtype: 'float32' | 'float64' = 'float32') => fromPretrained(folderOf(name), { task, dtype, seed: 4 });

  test.each([
    ['float32', 1e-4],
    ['float64', 1e-9],
  ] as const)('logits and losses are those of transformers in %s', async (dtype, tolerance) => {
    const model = (await open(dtype)).eval();
    const batch = imageBatch(truth.examples, truth.shape);
    tidy(() =>
      noGrad(() => {
        expectNear(numbers(model.logits(batch)), truth.logits.flat(), tolerance);
        expectNear(numbers(model.loss(batch)), truth.losses, tolerance);
      }),
    );
    model.dispose();
  });

  test('per-sample norms are those of autograd one image at a time, over all parameters and each', async () => {
    const model = (await open('float64')).eval();
    const loss = (): Tensor => model.loss(imageBatch(truth.examples, truth.shape));
    expectNorms(model, loss, truth.norms, { present: presentName });
    model.dispose();
  });

  test('what is saved is loaded again bit by bit, under the names of the original', () =>
    expectSameWhenSaved(name, task));

  test('trains privately in small physical batches, every parameter moves, and empty batches are steps too', async () => {
    const model = await open();
    const data = new ImageExampleDataset([...truth.examples, ...truth.examples, ...truth.examples], truth.shape);
    const engine = new PrivacyEngine(model, {
      records: data.length,
      steps: 8,
      noiseMultiplier: 1,
      sampler: poisson({ batchSize: 1 }),
      clip: abadi({ maxGradNorm: 1 }),
      insecureSeed: 12,
      performance: { memoryBudget: 1 },
    });
    const before = model.parameters().map(numbers);
    const optimizer = engine.attach(sgd(model.parameters(), { lr: 0.1 }));
    const sizes: number[] = [];
    for (const batch of engine.batches(data)) {
      sizes.push(batch.samples);
      tidy(() => optimizer.step({ loss: model.loss(batch) }));
    }
    expect(engine.remainingSteps).toBe(0);
    expect(new Set(sizes)).toEqual(new Set([0, 1]));
    model.parameters().forEach((parameter, k) => expect(numbers(parameter)).not.toEqual(before[k]));
    engine.detach();
    model.dispose();
  });

  test('no image changes the loss of another', async () => {
    const model = (await open('float64')).eval();
    const batch = imageBatch(truth.examples, truth.shape);
    checkIndependence(model, batch, {
      change: (_, b) =>
        imageBatch(
          truth.examples.map((image, k) =>
            k === b ? { ...image, pixels: Array.from(image.pixels, (x) => x + 1) } : image,
          ),
          truth.shape,
        ),
    });
    model.dispose();
  });

  test('what is dropped of an image depends on its record and step alone, not on its neighbours', async () => {
    const model = (await open('float64')).train();
    const losses = (chosen: readonly ImageExample[], recordIds: number[], step: number): number[] => {
      const batch = imageBatch(chosen, truth.shape, { recordIds: Int32Array.from(recordIds), step });
      return tidy(() => noGrad(() => numbers(model.loss(batch))));
    };
    const { examples } = truth;
    const together = losses(examples, [5, 6, 7], 3);
    examples.forEach((image, b) => expect(losses([image], [5 + b], 3)[0]).toBeCloseTo(together[b]!, 12));
    const others = Array.from({ length: 24 }, (_, k) => losses([examples[0]!], [5], 4 + k)[0]!);
    const drops = name === 'vit-classifier' || name === 'beit-distances' || name === 'beit-shared';
    expect(new Set([...others, together[0]!].map((loss) => loss.toFixed(9))).size > 1).toBe(drops);
    model.dispose();
  });

  test('biases alone, and low-rank additions, are what is trained', async () => {
    const batch = imageBatch(truth.examples, truth.shape);
    const [biased, thin] = [(await open('float64')).eval(), (await open('float64')).eval()];
    const chosen = biasesOnly(biased);
    expect([...perSampleNorms(biased, () => biased.loss(batch)).parameters.keys()].sort()).toEqual(chosen.sort());
    const layers = lora(thin, { rank: 2, targets: ['query', 'feedForward.out'] });
    const { norm, parameters } = perSampleNorms(thin, () => thin.loss(batch));
    expect(parameters.size).toBe(2 * layers.size);
    norm.forEach((value) => expect(value).toBeGreaterThan(0));
    biased.dispose();
    thin.dispose();
  });

  test('images of another size, pixels that are no numbers, and labels out of range are refused', async () => {
    const model = (await open()).eval();
    const [channels, height, width] = truth.shape;
    const [image] = truth.examples as [ImageExample];
    const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
    const wrong: readonly (() => unknown)[] = [
      () => imageBatch([image], [channels, height, width + 1]),
      () => imageBatch([{ ...image, pixels: [NaN, ...Array.from(image.pixels).slice(1)] }], truth.shape),
      () => imageBatch([image, { pixels: image.pixels }], truth.shape),
      () => new ImageExampleDataset([image, { pixels: image.pixels }], truth.shape),
      () => model.loss(imageBatch([{ pixels: image.pixels }], truth.shape)),
      () => model.loss(imageBatch([{ pixels: image.pixels, label: 9 }], truth.shape)),
      () => model.logits(imageBatch([{ pixels: zeros(channels * height * width) }], [channels, width * height, 1])),
    ];
    for (const act of wrong)
      expect(await thrown(() => tidy(() => void act()))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    model.dispose();
  });
});

/** Python's modules are called otherwise than the tensors in its files, which keep the names of older versions. */
function presentName(name: string): string {
  return name
    .replace('beit.encoder.relative_position_bias.', 'beit.shared_position_bias.')
    .replace('.attention.attention.relative_position_bias.', '.relative_position_bias.')
    .replace('.encoder.layer.', '.layers.')
    .replace('.attention.attention.', '.attention.')
    .replace('.attention.output.dense', '.attention.o_proj')
    .replace(/\.attention\.(query|key|value)\./, (_, which: string) => `.attention.${which[0]}_proj.`)
    .replace('.intermediate.dense', '.mlp.fc1')
    .replace('.output.dense', '.mlp.fc2');
}

test.each([
  [{ model_type: 'vit', image_size: 8, patch_size: 16 }],
  [{ model_type: 'vit', image_size: [8, 0] }],
  [{ model_type: 'deit', num_attention_heads: 5, hidden_size: 8 }],
  [{ model_type: 'beit', image_size: [8, 16], patch_size: 4 }],
  [{ model_type: 'beit', drop_path_rate: 1 }],
])('a configuration that is not built here is refused: %j', async (config) => {
  const error = await thrown(() => fromConfig(config, { task: 'image-classification' }));
  expect(error).toMatchObject({ code: 'ERR_MODEL_CONFIG' });
});

test('the fingerprint of images changes with any pixel, label or size', () => {
  const print = (pixels: number[], label: number, shape: readonly [number, number, number]): string =>
    new ImageExampleDataset([{ pixels, label }], shape).fingerprint();
  const prints = [
    print([1, 2, 3, 4], 0, [1, 2, 2]),
    print([1, 2, 3, 5], 0, [1, 2, 2]),
    print([1, 2, 3, 4], 1, [1, 2, 2]),
    print([1, 2, 3, 4], 0, [1, 1, 4]),
  ];
  expect(new Set(prints).size).toBe(4);
  expect(print([1, 2, 3, 4], 0, [1, 2, 2])).toBe(prints[0]);
});

test('a branch that is dropped takes all rows of its sample with it, as often as it should, and the rest keep their mean', () => {
  const path = new DropPath(0.25, { init: new Initializer(5) });
  const samples = 400;
  const recordIds = Int32Array.from({ length: samples }, (_, b) => b);
  using segments = Segments.equal(samples, 3, { recordIds, step: 2 });
  const rows = tidy(() => withSegments(segments, () => numbers(path.forward(ones([samples * 3, 2])))));
  let dropped = 0;
  for (let b = 0; b < samples; b++) {
    const own = new Set(rows.slice(6 * b, 6 * b + 6));
    expect(own.size).toBe(1);
    const [value] = [...own] as [number];
    if (value === 0) dropped += 1;
    else expect(value).toBeCloseTo(1 / 0.75, 6);
  }
  // Four standard deviations of 400 draws.
  expect(Math.abs(dropped / samples - 0.25)).toBeLessThan(4 * Math.sqrt((0.25 * 0.75) / samples));
  const still = tidy(() => withSegments(segments, () => numbers(path.eval().forward(ones([samples * 3, 2])))));
  expect(still.every((value) => value === 1)).toBe(true);
});
