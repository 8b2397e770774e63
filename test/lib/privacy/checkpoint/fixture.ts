// Small runs with a checkpoint, for laws about stopping and going on.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { adam, type Adam, type AdamOptions } from '../../../../lib/optim';
import type { Checkpoint, CheckpointOptions, PrivacyEngine, PrivacyEngineOptions } from '../../../../lib/privacy';
import { engineFor, histories, smallModel } from '../fixture';

const home = mkdtempSync(join(tmpdir(), 'phantomgrad-checkpoint-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

let folders = 0;
/** A path that nothing is at. */
export const fresh = (): string => join(home, `checkpoint-${(folders += 1)}`);

export interface Run {
  readonly model: ReturnType<typeof smallModel>;
  readonly engine: PrivacyEngine;
  readonly optimizer: Adam;
  readonly checkpoint: Checkpoint;
  /** Takes up to `steps` logical steps, and says how many there were. */
  train(steps?: number): number;
}

/** A model, an engine of 12 steps and Adam, kept in `folder`: begun there, or continued. */
export function open(
  folder: string,
  plan: Partial<PrivacyEngineOptions> = {},
  keeping: Partial<CheckpointOptions> = {},
  model = smallModel(),
  adamOptions: AdamOptions = {},
): Run {
  const data = histories(40);
  const engine = engineFor(model, { steps: 12, ...plan });
  const optimizer = adam(model.parameters(), { lr: 0.01, ...adamOptions });
  const attached = engine.attach(optimizer);
  const checkpoint = engine.checkpoint(folder, { data, every: 4, resume: 'auto', ...keeping });
  const train = (steps = Infinity): number => {
    let taken = 0;
    if (steps === 0) return 0;
    for (const batch of engine.batches(data)) {
      optimizer.lr = 0.01 / (1 + engine.steps);
      attached.step({ loss: model.loss(batch) });
      if (batch.completesStep && (taken += 1) === steps) break;
    }
    return taken;
  };
  return { model, engine, optimizer, checkpoint, train };
}

/** What a kill leaves: nothing more is written or given back, and nobody holds the folder. */
export function kill({ checkpoint }: Run): void {
  const { journal, lock } = checkpoint as unknown as { journal: { abandon(): void }; lock: { release(): void } };
  journal.abandon();
  lock.release();
}
