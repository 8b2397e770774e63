// The best possible scores for made-up histories: from the law itself, by Bayes' rule, exactly.

import * as check from '../../check';
import type { SyntheticOptions } from './histories';
import { SEQUELS, syntheticLaw, type Law } from './law';

/**
 * Scores the next item by its probability given the history under the law that drew it: no scorer that sees only the history has a
 * higher expected HIT@k or NDCG@k. The community of the user is unknown; its posterior is the prior times the probability of
 * each item taken, in order, given the items before it.
 *
 * @param options  Those of `syntheticInteractions`; `users` does not matter.
 * @returns A scorer: `scores(history)[i]` is the probability of item i, 0 for items already taken.
 */
export function syntheticOptimum(options: SyntheticOptions = {}): Optimum {
  check.onlyKnown('syntheticOptimum', options, ['users', 'seed', 'items', 'genres']);
  return new Optimum(syntheticLaw(options));
}

/** What a history says about the next item. */
export class Optimum {
  constructor(readonly law: Law) {}

  get itemCount(): number {
    return this.law.items;
  }

  /** `[items + 1]`: probabilities of the next item, index 0 unused. */
  scores(history: Int32Array): Float32Array {
    const state = new HistoryState(this.law);
    for (const item of history) state.take(item);
    return Float32Array.from(state.next());
  }

  /** Posterior probability of each community. */
  posterior(history: Int32Array): Float64Array {
    const state = new HistoryState(this.law);
    for (const item of history) state.take(item);
    return state.posterior();
  }
}

/** Sums over the items taken so far, kept up to date so that a history of n items costs O(n · communities). */
class HistoryState {
  readonly #logPosterior: Float64Array;
  /** Mass of the items taken, by taste of each community and by genre. */
  readonly #tasteTaken: Float64Array;
  readonly #genreTaken: Float64Array;
  readonly #taken: Uint8Array;
  #last = 0;

  constructor(readonly law: Law) {
    this.#logPosterior = law.communities.map((share) => Math.log(share));
    this.#tasteTaken = new Float64Array(law.communities.length);
    this.#genreTaken = new Float64Array(law.genres);
    this.#taken = new Uint8Array(law.items + 1);
  }

  take(item: number): void {
    const { genres, genreOf, weight, tastes, communities } = this.law;
    const genre = genreOf[item] as number;
    const own = weight[item] as number;
    const [direct, byTaste] = this.#routes(item);
    for (let t = 0; t < communities.length; t++) {
      const taste = (tastes[t * genres + genre] as number) * own;
      this.#logPosterior[t]! += Math.log((direct + byTaste * taste) / this.#free(t));
    }
    // Only now: the probability of an item is taken among the items before it.
    for (let t = 0; t < communities.length; t++) this.#tasteTaken[t]! += (tastes[t * genres + genre] as number) * own;
    this.#genreTaken[genre]! += own;
    this.#taken[item] = 1;
    this.#last = item;
  }

  posterior(): Float64Array {
    const most = this.#logPosterior.reduce((a, b) => Math.max(a, b));
    const shares = this.#logPosterior.map((log) => Math.exp(log - most));
    const total = shares.reduce((a, b) => a + b, 0);
    return shares.map((share) => share / total);
  }

  /** Σ_t posterior(t) P(item | t, history) for every item. */
  next(): Float64Array {
    const { items, genres, genreOf, weight, tastes } = this.law;
    const perFree = this.posterior().map((share, t) => share / this.#free(t));
    const anyTaste = perFree.reduce((a, b) => a + b, 0);
    const byGenre = new Float64Array(genres);
    perFree.forEach((share, t) => {
      for (let g = 0; g < genres; g++) byGenre[g]! += share * (tastes[t * genres + g] as number);
    });
    const result = new Float64Array(items + 1);
    for (let item = 1; item <= items; item++) {
      if (this.#taken[item] === 1) continue;
      const [direct, byTaste] = this.#routes(item);
      result[item] =
        direct * anyTaste + byTaste * (byGenre[genreOf[item] as number] as number) * (weight[item] as number);
    }
    return result;
  }

  /** Unnormalised probability of the item by the last item (the same for every community), and the share left to taste. */
  #routes(item: number): [direct: number, byTaste: number] {
    const last = this.#last;
    if (last === 0) return [0, 1];
    const { follow, mood, genreOf, weight, sequels, sequelShares } = this.law;
    let direct = genreOf[item] === genreOf[last] ? mood * (weight[item] as number) : 0;
    for (let s = 0; s < SEQUELS; s++)
      if (sequels[last * SEQUELS + s] === item) direct += follow * (sequelShares[s] as number);
    return [direct, 1 - follow - mood];
  }

  /** Mass of the items not taken yet, given the community: the denominator of the restricted law. */
  #free(community: number): number {
    const last = this.#last;
    if (last === 0) return 1 - (this.#tasteTaken[community] as number);
    const { follow, mood, genreOf, sequels, sequelShares } = this.law;
    let taken =
      mood * (this.#genreTaken[genreOf[last] as number] as number) +
      (1 - follow - mood) * (this.#tasteTaken[community] as number);
    for (let s = 0; s < SEQUELS; s++) {
      if (this.#taken[sequels[last * SEQUELS + s] as number] === 1) taken += follow * (sequelShares[s] as number);
    }
    return 1 - taken;
  }
}
