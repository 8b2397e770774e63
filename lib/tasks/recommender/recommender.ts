// A trained recommender as it comes out of a run folder: it recommends by original item ids, and can be evaluated on a file.

import { EvaluationSet, interactions, type Interactions, SequenceDataset } from '../../data';
import { raise } from '../../errors';
import * as check from '../../check';
import { flatten } from '../../data/sequences';
import type { SequentialModel } from '../../models/sequential-model';
import { baselines, measure, type Row } from './compare';
import { type Histories, synthetic } from './data';
import type { OnEvent } from '../run/events';
import type { RunConfig } from './run-config';
import { readRun } from './run-folder';

export interface Recommendation {
  /** Original id. */
  readonly item: string;
  /** The model's logit: higher is better; differences are log-odds. */
  readonly score: number;
}

export class Recommender {
  readonly #numbers: ReadonlyMap<string, number>;

  private constructor(
    readonly model: SequentialModel,
    readonly config: RunConfig,
    /** The privacy statement that was stored with the weights. */
    readonly privacy: Readonly<Record<string, unknown>>,
  ) {
    check.object('Recommender', { model });
    check.object('Recommender', { config });
    check.object('Recommender', { vocabulary: config.vocabulary });
    check.list('Recommender', { items: config.vocabulary.items });
    this.#numbers = new Map(config.vocabulary.items.map((id, k) => [id, k + 1]));
  }

  /** Opens a run folder. @throws ERR_RUN_FOLDER naming the file that is missing or malformed. */
  static async load(folder: string): Promise<Recommender> {
    check.text('Recommender.load', { folder });
    const { model, config, privacy } = await readRun(folder);
    return new Recommender(model, config, privacy);
  }

  /**
   * The items most likely to come next, best first; items of the history are left out.
   *
   * @param history  Original ids in time order, most recent last.
   * @param options.top  How many; fewer come back where the vocabulary has no more. Default 10.
   * @throws ERR_INVALID_ARGUMENT for an empty history or an item that the model does not know.
   */
  recommend(history: readonly (string | number)[], { top = 10 }: { readonly top?: number } = {}): Recommendation[] {
    check.integer('recommend', { top }, 1);
    if (history.length === 0) raise('ERR_INVALID_ARGUMENT', 'recommend: the history must name at least one item.');
    const numbers = Int32Array.from(history, (id) => this.#number(String(id), 'recommend: ', 'ERR_INVALID_ARGUMENT'));
    const seen = new Set(numbers);
    const scores = this.model.scores(numbers);
    const items = Array.from({ length: this.model.itemCount }, (_, k) => k + 1).filter((item) => !seen.has(item));
    items.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
    return items.slice(0, top).map((item) => ({
      item: this.config.vocabulary.items[item - 1] as string,
      score: scores[item] as number,
    }));
  }

  /**
   * HIT@10 and NDCG@10 on the last item of each history, beside the baselines counted on the items before it.
   *
   * @param data  A file as in training; without one, the made-up histories that the run was trained on.
   * @throws ERR_DATA_FORMAT for a malformed file or an item that the model does not know; ERR_INVALID_ARGUMENT without data.
   */
  async evaluate(data?: string, onEvent: OnEvent = () => undefined): Promise<Row[]> {
    const { train, test, optimum } = await this.#evaluationData(data);
    return [measure('private', this.model, test, onEvent), ...baselines(train, test, optimum, onEvent)];
  }

  dispose(): void {
    this.model.dispose();
  }

  async #evaluationData(
    data?: string,
  ): Promise<{ train: SequenceDataset; test: EvaluationSet } & Pick<Histories, 'optimum'>> {
    const { data: source } = this.config;
    if (data === undefined) {
      if (source.kind !== 'synthetic') {
        return raise(
          'ERR_INVALID_ARGUMENT',
          'evaluate: name the data with --data FILE; the run folder does not keep it.',
        );
      }
      const { interactions: histories, optimum } = synthetic(source.users);
      return { ...histories.split(), optimum };
    }
    const { minActions, minItemActions = 1 } = source.kind === 'file' ? source : { minActions: 5 };
    const flat = this.#renumber(await interactions(data, { minActions, minItemActions }), data);
    return { train: new SequenceDataset(flat, 1), test: new EvaluationSet(flat), optimum: null };
  }

  // The file has its own numbering of items; the model's is the order of its vocabulary.
  #renumber(file: Interactions, path: string): ReturnType<typeof flatten> {
    const number = file.itemIds.map((id) => this.#number(id, `${path}: `, 'ERR_DATA_FORMAT'));
    const all = file.all();
    const sequences = Array.from({ length: all.length }, (_, record) =>
      all.sequence(record).map((item) => number[item - 1] as number),
    );
    return flatten(sequences, this.model.itemCount);
  }

  #number(id: string, where: string, code: 'ERR_INVALID_ARGUMENT' | 'ERR_DATA_FORMAT'): number {
    const number = this.#numbers.get(id);
    if (number !== undefined) return number;
    return raise(
      code,
      `${where}item ${JSON.stringify(id)} is not one of the ${this.model.itemCount} items that the model knows.`,
    );
  }
}
