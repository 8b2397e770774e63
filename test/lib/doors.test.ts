// What JavaScript lets through to the public functions: every wrong kind of argument is named in an error with a code.

import * as phantomgrad from '../../lib';
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
  'models.saveWeights': (wrong) => models.saveWeights('never-written', wrong),
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
  'data.packRecords': (wrong) => data.packRecords(Int32Array.of(1), [1], wrong),
  'data.historyRows': (wrong) => data.historyRows([wrong]),
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

/** What is called with rubbish would train for minutes with its defaults, or change the whole process: the table above has some of them. */
const NOT_CALLED: readonly unknown[] = [
  ...[phantomgrad.trainRecommender, phantomgrad.auditRecommender, data.syntheticInteractions, phantomgrad.torch],
  ...[phantomgrad.setNumThreads, phantomgrad.PhantomgradError, data.DataFormatError, phantomgrad.ERROR_CODES],
];

const RUBBISH: Readonly<Record<string, unknown>> = {
  ...{ undefined, null: null, 5: 5, '«x»': 'x', NaN, '{}': {}, '[]': [], '[null]': [null], 'a function': () => 1 },
  'an unknown option': { surelyUnknown: 1 },
};

type Export = ((...rubbish: unknown[]) => unknown) & (new (...rubbish: unknown[]) => unknown);

/** Every function and class under its dotted name; each once. */
function exportsOf(holder: object, path: string, seen: Set<unknown>): [string, Export][] {
  return Object.entries(holder).flatMap(([name, value]: [string, unknown]): [string, Export][] => {
    if (value === null || NOT_CALLED.includes(value) || seen.has(value)) return [];
    seen.add(value);
    if (typeof value === 'function') return [[path + name, value as Export]];
    return typeof value === 'object' ? exportsOf(value, `${path}${name}.`, seen) : [];
  });
}

const EXPORTS = Object.entries(phantomgrad).flatMap(([name, value]): [string, [string, Export][]][] => {
  if (typeof value !== 'object' || NOT_CALLED.includes(value)) return [];
  return [[name, exportsOf(value, `${name}.`, new Set())]];
});

test.each([...EXPORTS, ['itself', exportsOf({ ...phantomgrad, ...namespacesLeftOut() }, '', new Set())] as const])(
  'nothing in %s answers rubbish with an error that has no code',
  async (_, found) => {
    expect(found.length).toBeGreaterThan(3);
    const bare: string[] = [];
    for (const [name, call] of found) {
      const isClass = Function.prototype.toString.call(call).startsWith('class');
      for (const [label, rubbish] of Object.entries(RUBBISH)) {
        for (const times of [1, 2, 3]) {
          const given = Array.from({ length: times }, () => rubbish);
          const outcome = await Promise.resolve()
            .then(() => (isClass ? new call(...given) : call(...given)))
            .catch((error: unknown) => error);
          if (!(outcome instanceof Error) || outcome instanceof PhantomgradError) continue;
          bare.push(`${name}(${given.map(() => label).join(', ')}): ${outcome.message}`);
        }
      }
    }
    expect(bare).toEqual([]);
  },
);

function namespacesLeftOut(): Record<string, null> {
  return Object.fromEntries(EXPORTS.map(([name]) => [name, null]));
}

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
