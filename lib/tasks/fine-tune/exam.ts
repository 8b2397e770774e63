// What is measured on held-out data, and the loops over it that tasks share.

import type { ImageBatch, TokenBatch } from '../../data';
import { IGNORED_LABEL } from '../../data/text/tokens';
import type { CausalLM, ImageClassifier, MaskedLM, PretrainedModel, SequenceClassifier } from '../../models';
import { beside, noGrad, type Tensor, tidy } from '../../tensor';
import { accuracy, macroF1, perplexity } from '../metrics';
import type { OnEvent } from '../run/events';

/** Numbers by the names that `--json` gives them. Computed from held-out data without noise: no ε covers them. */
export type Metrics = Readonly<Record<string, number>>;

/** A measurement that is ready to be taken of a model. */
export interface Exam<M extends PretrainedModel = PretrainedModel> {
  /** Held-out records. */
  readonly records: number;
  /** @param brief  What is quickly told, where something else takes long. */
  measure(model: M, tell: OnEvent, brief?: boolean): Metrics;
}

/** Held-out records that can be laid out. */
export interface HeldOut<B> {
  readonly length: number;
  pack(recordIds: Int32Array, options: { readonly rowBudget: number }): B[];
}

const MEMORY = 2 ** 26;

/** All records in physical batches, in evaluation mode and without gradients. */
export function eachBatch<B extends { readonly samples: number }>(
  model: PretrainedModel & { packing(): { bytesPerRow: number } },
  data: HeldOut<B>,
  what: string,
  tell: OnEvent,
  use: (batch: B) => void,
): void {
  const { training } = model;
  model.eval();
  try {
    const rowBudget = Math.max(1, Math.floor(MEMORY / model.packing().bytesPerRow));
    const all = Int32Array.from({ length: data.length }, (_, record) => record);
    let done = 0;
    for (const batch of data.pack(all, { rowBudget })) {
      noGrad(() => tidy(() => use(batch)));
      done += batch.samples;
      tell({ kind: 'measuring', what, done, of: data.length });
    }
  } finally {
    model.train(training);
  }
}

/** exp of the mean loss of a token that the model is asked for. */
export function perplexityOf(model: CausalLM, data: HeldOut<TokenBatch>, tell: OnEvent): number {
  const [losses, tokens]: [number[], number[]] = [[], []];
  eachBatch(model, data, 'Perplexity of held-out records', tell, (batch) => {
    losses.push(model.loss(batch, { reduction: 'sum' }).sum().item());
    tokens.push(asked(batch));
  });
  return perplexity(losses, tokens);
}

// Labels stand at their own place; the first token of a text is predicted by nothing.
function asked({ labels, texts, samples }: TokenBatch): number {
  if (labels === undefined || samples === 0) return 0;
  const first = new Set(Array.from(texts.subarray(0, -1), Number));
  return labels.reduce((count, label, row) => count + (label === BigInt(IGNORED_LABEL) || first.has(row) ? 0 : 1), 0);
}

/** Accuracy and macro-F1 of a head of classes. */
export function classesOf<B extends TokenBatch | ImageBatch>(
  model: SequenceClassifier | ImageClassifier,
  data: HeldOut<B>,
  classes: number,
  tell: OnEvent,
): Metrics {
  const [truth, predicted]: [number[], number[]] = [[], []];
  eachBatch(model, data, 'Classes of held-out records', tell, (batch) => {
    truth.push(...(batch.label ?? []));
    predicted.push(
      ...(model
        .logits(batch as never)
        .argmax(1)
        .toArray() as number[]),
    );
  });
  return rightness(truth, predicted, classes);
}

/** The class whose word is likeliest at the mask. */
export function wordsOf(model: MaskedLM, data: HeldOut<TokenBatch>, wordIds: Int32Array, tell: OnEvent): Metrics {
  const [truth, predicted]: [number[], number[]] = [[], []];
  eachBatch(model, data, 'Words of held-out records', tell, (batch) => {
    const rows = Array.from(batch.labels ?? [], (label, row) => (label === BigInt(IGNORED_LABEL) ? -1 : row));
    const asked = rows.filter((row) => row >= 0);
    const logits = model.logits(batch);
    const masks = logits.indexSelect(0, indices(logits, asked));
    truth.push(...(batch.label ?? []));
    predicted.push(...(masks.indexSelect(1, indices(masks, wordIds)).argmax(1).toArray() as number[]));
  });
  return rightness(truth, predicted, wordIds.length);
}

function rightness(truth: readonly number[], predicted: readonly number[], classes: number): Metrics {
  return { accuracy: accuracy(truth, predicted.map(Number)), macroF1: macroF1(truth, predicted.map(Number), classes) };
}

/** What guessing the class that is most frequent in held-out data would reach. */
export function majority(truth: readonly number[], classes: number): Metrics {
  const counts = new Float64Array(classes);
  for (const label of truth) counts[label]! += 1;
  const most = counts.indexOf(Math.max(...counts));
  return rightness(
    truth,
    truth.map(() => most),
    classes,
  );
}

function indices(of: Tensor, values: ArrayLike<number>): Tensor {
  return beside(of, BigInt64Array.from(Array.from(values), BigInt));
}
