// One cell of the language-model experiment: trains a model, measures it on held-out text, draws from it.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { type Alphabet, pack, type SequenceDataset, type CharacterBlocks } from '../../../data';
import { CharTransformer } from '../../../models/char-transformer';
import { drawText } from '../../../models/draw-text';
import {
  type Checkpoint,
  frequencies,
  hasCheckpoint,
  normalize,
  PlainEngine,
  poisson,
  PrivacyEngine,
  signalToNoise,
} from '../../../privacy';
import { MetricsLog } from '../../../report/metrics-log';
import { noGrad } from '../../../tensor';
import type { OnEvent } from '../../recommender';
import { histogramNoise } from '../../recommender/options';
import { fit } from '../../run/fit';
import { Reporter } from '../../run/reporter';
import type { ExperimentControl } from '../cells';
import { lossCurve } from '../../run/curve';
import { cellPrivacy } from '../recommender-cell';
import type { TextCell } from './results';
import type { TextRow, TextSettings } from './settings';

// Distinct characters of a usual block: the norm to which a block's part in the histogram is scaled.
const DISTINCT = 40;

/**
 * Trains in `folder`, or goes on with the private run that an interruption left there; training without privacy begins anew.
 *
 * @returns Null when interrupted.
 */
export async function trainText(
  folder: string,
  { row, seed }: Pick<TextCell, 'row' | 'seed'>,
  { train, validation }: CharacterBlocks,
  alphabet: Alphabet,
  settings: TextSettings,
  { device = 'cpu', signal, onEvent = () => undefined }: Pick<ExperimentControl, 'device' | 'signal' | 'onEvent'>,
): Promise<TextCell | null> {
  const kept = join(folder, 'checkpoint');
  const going = hasCheckpoint(kept);
  if (!going) await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const metrics = join(folder, 'metrics.jsonl');
  const log = new MetricsLog(metrics, { append: going });
  const reporter = new Reporter(log, onEvent);
  const reAttention = row === 'reAttention';
  const model = new CharTransformer({ ...settings.model, characters: alphabet.size, reAttention, seed }).to(device);
  const engine = engineFor(row, model, train.length, settings);
  const { epochs, rates } = settings;
  const steps = engine instanceof PrivacyEngine ? engine.plan.steps : engine.totalSteps;
  const [role, learningRate] =
    row === 'plain' ? (['plain', rates.plain] as const) : (['private', rates.private] as const);
  const checkpoint = (): Checkpoint => {
    const configuration = { task: 'experiment tinyshakespeare', row, seed, settings };
    const opened = (engine as PrivacyEngine).checkpoint(kept, { data: train, resume: going, configuration });
    if (opened.resumedAt !== null) reporter.resumed(opened.resumedAt, steps, (engine as PrivacyEngine).lostSteps);
    return opened;
  };
  try {
    announce(engine, model, steps, { epochs, learningRate, epsilon: settings.epsilon }, onEvent);
    const { interrupted, secondsPerEpoch } = await fit(model, engine, train, {
      ...{ role, steps, epochs, learningRate, weightDecay: 0, onStep: reporter.step },
      ...(signal && { signal }),
      ...(engine instanceof PrivacyEngine && { checkpoint }),
    });
    if (interrupted) return null;
    const validationLoss = meanLoss(model, validation);
    return {
      ...{ row, seed, validationLoss, bitsPerCharacter: validationLoss / Math.LN2 },
      privacy: engine instanceof PrivacyEngine ? cellPrivacy(engine.privacySpent()) : null,
      samples: draw(model, alphabet, settings),
      losses: lossCurve(metrics, role),
      secondsPerEpoch,
      finished: new Date().toISOString(),
    };
  } finally {
    log.close();
    if (engine instanceof PrivacyEngine) engine.close();
    model.dispose();
  }
}

function engineFor(
  row: TextRow,
  model: CharTransformer,
  records: number,
  { epochs, batchSize, epsilon }: TextSettings,
): PrivacyEngine | PlainEngine {
  const sampler = poisson({ batchSize: Math.max(1, Math.min(batchSize, Math.floor(records / 4))) });
  if (row === 'plain') return new PlainEngine(model, { records, epochs, sampler });
  const histogram = frequencies.privateHistogram({ noiseMultiplier: histogramNoise(epsilon), maxItems: DISTINCT });
  return new PrivacyEngine(model, {
    ...{ records, epochs, sampler, target: { epsilon }, clip: normalize({ maxGradNorm: 1 }) },
    ...(row === 'reAttention' && { frequencies: histogram }),
  });
}

function announce(
  engine: PrivacyEngine | PlainEngine,
  model: CharTransformer,
  steps: number,
  { epochs, learningRate, epsilon }: { epochs: number; learningRate: number; epsilon: number },
  tell: OnEvent,
): void {
  if (!(engine instanceof PrivacyEngine)) return;
  const parameters = model.parameters().reduce((sum, { numel }) => sum + numel, 0);
  const { noiseMultiplier, delta, expectedBatchSize: batchSize } = engine.plan;
  const ratio = signalToNoise(engine.plan, parameters).run;
  const privacy = { noiseMultiplier, delta, epsilon, signalToNoise: ratio };
  tell({ kind: 'plan', steps, epochs, batchSize, unit: 'blocks', parameters, learningRate, privacy });
}

/** Mean over blocks, in evaluation mode. */
export function meanLoss(model: CharTransformer, blocks: SequenceDataset): number {
  const { maxLength } = model.config;
  const all = Int32Array.from({ length: blocks.length }, (_, record) => record);
  model.eval();
  const sums = pack(blocks, all, { maxLength, rowBudget: 4096 }).map((batch) =>
    noGrad(() => {
      const loss = model.loss(batch);
      const sum = loss.sum();
      try {
        return sum.item();
      } finally {
        loss.dispose();
        sum.dispose();
      }
    }),
  );
  return sums.reduce((total, sum) => total + sum, 0) / blocks.length;
}

// Every text begins as a line does.
function draw(model: CharTransformer, alphabet: Alphabet, { samples }: TextSettings): string[] {
  const start = alphabet.encode('\n');
  return Array.from({ length: samples.count }, (_, k) =>
    alphabet.decode(
      drawText(model, start, { length: samples.length, temperature: samples.temperature, seed: samples.seed + k }),
    ),
  );
}
