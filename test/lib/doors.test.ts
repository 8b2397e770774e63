// What JavaScript lets through to the public functions: every wrong kind of argument is named in an error with a code.

import {
  data,
  evaluateFineTuned,
  models,
  nn,
  ones,
  optim,
  PhantomgradError,
  planMemory,
  privacy,
  Recommender,
  tensor,
  write,
} from '../../lib';

const { accounting } = privacy;
const rows = () => ones([2, 4]);
const ids = () => tensor([0, 1], { dtype: 'int64' });

/** Functions of one argument, given what is none of theirs; `never` because TypeScript would refuse it. */
const DOORS: Readonly<Record<string, (wrong: never) => unknown>> = {
  'data.tokenizer': (wrong) => data.tokenizer(wrong),
  'data.readText': (wrong) => data.readText(wrong),
  'data.classifiedTexts': (wrong) => data.classifiedTexts(wrong, { text: 'a', labels: ['0', '1'] } as never),
  'data.e2e': (wrong) => data.e2e(wrong),
  'data.dart': (wrong) => data.dart(wrong),
  'data.cifar10': (wrong) => data.cifar10(wrong),
  'data.imageFolder': (wrong) => data.imageFolder(wrong),
  'models.modelFolder': (wrong) => models.modelFolder(wrong),
  'models.fromPretrained': (wrong) => models.fromPretrained(wrong, { task: 'causal-lm' }),
  'models.generate': (wrong) => models.generate(wrong, [[1]], {}),
  'nn.Parameter': (wrong) => new nn.Parameter(wrong),
  'nn.lora': (wrong) => nn.lora(wrong, { rank: 1, targets: ['0'] }),
  'nn.lora targets': (wrong) => nn.lora(new nn.Sequential(new nn.Linear(3, 4)), { rank: 1, targets: wrong }),
  'nn.biasesOnly': (wrong) => nn.biasesOnly(wrong),
  'nn.withSegments': (wrong) => nn.withSegments(wrong, () => 1),
  'nn.crossEntropy': (wrong) => nn.crossEntropy(wrong, ids()),
  'nn.crossEntropy targets': (wrong) => nn.crossEntropy(rows(), wrong),
  'nn.meanSquaredError': (wrong) => nn.meanSquaredError(wrong, rows()),
  'nn.meanSquaredError target': (wrong) => nn.meanSquaredError(rows(), wrong),
  'nn.binaryCrossEntropy': (wrong) => nn.binaryCrossEntropy(wrong, rows()),
  'nn.sampledCrossEntropy': (wrong) => nn.sampledCrossEntropy(rows(), rows(), wrong, ids()),
  'optim.sgd': (wrong) => optim.sgd([new nn.Parameter(rows())], wrong),
  'optim.cosine': (wrong) => optim.cosine(wrong),
  'optim.linearWarmupDecay': (wrong) => optim.linearWarmupDecay(wrong),
  'privacy.abadi': (wrong) => privacy.abadi(wrong),
  'privacy.automatic': (wrong) => privacy.automatic(wrong),
  'privacy.psac': (wrong) => privacy.psac(wrong),
  'privacy.global': (wrong) => privacy.global(wrong),
  'privacy.normalize': (wrong) => privacy.normalize(wrong),
  'privacy.adaptive': (wrong) => privacy.adaptive(wrong),
  'privacy.poisson': (wrong) => privacy.poisson(wrong),
  'privacy.truncatedPoisson': (wrong) => privacy.truncatedPoisson(wrong),
  'privacy.fixedSize': (wrong) => privacy.fixedSize(wrong),
  'privacy.ballsAndBins': (wrong) => privacy.ballsAndBins(wrong),
  'privacy.shuffle': (wrong) => privacy.shuffle(wrong),
  'privacy.PrivacyEngine': (wrong) => new privacy.PrivacyEngine(wrong, PLAN),
  'privacy.PlainEngine': (wrong) =>
    new privacy.PlainEngine(wrong, { records: 4, epochs: 1, sampler: privacy.poisson({ batchSize: 2 }) }),
  'privacy.perSampleNorms': (wrong) => privacy.perSampleNorms(wrong, () => rows()),
  'privacy.clippedSum': (wrong) => privacy.clippedSum(wrong, () => rows(), privacy.abadi({ maxGradNorm: 1 })),
  'privacy.checkIndependence': (wrong) => privacy.checkIndependence(wrong, {}),
  'accounting.calibrateNoise': (wrong) => accounting.calibrateNoise(wrong),
  'accounting.calibrateBatchSize': (wrong) => accounting.calibrateBatchSize(wrong),
  'accounting.affordableSteps': (wrong) => accounting.affordableSteps(wrong),
  write: (wrong) => write('gpt2', [wrong]),
  'write folder': (wrong) => write(wrong, ['Once']),
  'write prompts': (wrong) => write('gpt2', wrong),
  evaluateFineTuned: (wrong) => evaluateFineTuned(wrong, 'test.tsv'),
  planMemory: (wrong) => planMemory(wrong),
  'Recommender.load': (wrong) => Recommender.load(wrong),
};

const PLAN = {
  ...{ records: 4, steps: 2, noiseMultiplier: 1, delta: 1e-3 },
  ...{ sampler: privacy.poisson({ batchSize: 2 }), clip: privacy.abadi({ maxGradNorm: 1 }) },
};

test.each(Object.entries(DOORS))('%s names a wrong kind of argument', async (_, call) => {
  for (const wrong of [undefined, null, 5, NaN, true, {}]) {
    const outcome = await Promise.resolve()
      .then(() => call(wrong as never))
      .catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(PhantomgradError);
    expect((outcome as PhantomgradError).code).toBe('ERR_INVALID_ARGUMENT');
    expect((outcome as PhantomgradError).message).not.toMatch(/\[object|undefined \(reading/);
  }
});

test('data that cannot say which data they are make no checkpoint, and nothing is written', () => {
  const model = new nn.Sequential(new nn.Linear(2, 1));
  const engine = new privacy.PrivacyEngine(model, PLAN);
  engine.attach(optim.sgd(model.parameters(), { lr: 1 }));
  for (const wrong of [undefined, null, [1, 2], { length: 4 }, { fingerprint: 'abc' }]) {
    const make = (): unknown => engine.checkpoint('never-written', { data: wrong as never });
    expect(make).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringMatching(/checkpoint: data must be a data set .* with fingerprint\(\), got /),
      }),
    );
  }
  expect(privacy.hasCheckpoint('never-written')).toBe(false);
  engine.close();
});
