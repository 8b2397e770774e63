// A model in use: rows in, numbers out, without dropout and without gradients, and nothing is left behind.

import type { SequenceRows } from '../data/batches';
import { type Module, Segments, withSegments } from '../nn';
import { noGrad, tidy } from '../tensor';

/** Runs `run` in the segments of `rows` and in evaluation mode; then the model is as it was. */
export function inUse<T>(model: Module, rows: SequenceRows, run: () => T): T {
  const training = model.training;
  model.eval();
  try {
    using segments = Segments.of(rows);
    return noGrad(() => withSegments(segments, () => tidy(run)));
  } finally {
    model.train(training);
  }
}
