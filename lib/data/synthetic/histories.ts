// Draws users' histories from the law, and hands out nothing but the histories.

import * as check from '../../check';
import { Interactions } from '../interactions';
import { LENGTHS, SEQUELS, syntheticLaw, type Law, type LawOptions } from './law';
import { cumulate, pick, Prng } from './prng';

export interface SyntheticOptions extends LawOptions {
  /** Default 15,000. */
  readonly users?: number;
}

/**
 * Long-tail histories with learnable structure, made up: the embedded default data. The law is documented at {@link Law}; a model
 * sees the histories only. The same options give the same histories on every platform. The catalogue is public.
 *
 * @throws ERR_INVALID_ARGUMENT for options out of range.
 * @example const users = syntheticInteractions(); const { train, test } = users.split();
 */
export function syntheticInteractions(options: SyntheticOptions = {}): Interactions {
  check.onlyKnown('syntheticInteractions', options, ['users', 'seed', 'items', 'genres']);
  const { users = 15_000, seed = 1, ...rest } = options;
  check.integer('syntheticInteractions', { users }, 1, 10_000_000);
  const law = syntheticLaw({ seed, ...rest });
  const { items, offsets } = drawHistories(law, users, seed);
  return new Interactions(
    {
      items,
      offsets,
      itemCount: law.items,
      itemIds: Array.from({ length: law.items }, (_, k) => String(k + 1)),
      userIds: Array.from({ length: users }, (_, k) => String(k + 1)),
      dropped: { users: 0, items: 0, actions: 0 },
    },
    'catalogue',
  );
}

/** @returns Item numbers of all users one after another, and where each user's begin. */
export function drawHistories(law: Law, users: number, seed: number): { items: Int32Array; offsets: Int32Array } {
  const random = new Prng(seed, 1);
  const draw = sampler(law, random);
  const community = cumulate(law.communities);
  const items = new Int32Array(users * LENGTHS.most);
  const offsets = new Int32Array(users + 1);
  const takenBy = new Int32Array(law.items + 1); // user + 1 who took the item last
  let end = 0;
  for (let user = 0; user < users; user++) {
    const who = pick(community, random);
    const length = drawLength(random);
    for (let last = 0, k = 0; k < length;) {
      const item = draw(who, last);
      if (takenBy[item] === user + 1) continue; // rejection: the law restricted to items not taken yet
      takenBy[item] = user + 1;
      items[end++] = last = item;
      k += 1;
    }
    offsets[user + 1] = end;
  }
  return { items: items.slice(0, end), offsets };
}

// Counted step by step: no logarithm that a platform might round differently.
function drawLength(random: Prng): number {
  const { least, most, meanExtra } = LENGTHS;
  let length: number = least;
  while (length < most && random.uniform() < meanExtra / (meanExtra + 1)) length += 1;
  return length;
}

/** One draw of the unrestricted mixture: a sequel, an item of the same genre, or an item by taste. */
function sampler(law: Law, random: Prng): (community: number, last: number) => number {
  const { genres, members, genreOf, sequels, follow, mood } = law;
  const sequelRank = cumulate(law.sequelShares);
  const within = members.map((genre) => cumulate(Float64Array.from(genre, (item) => law.weight[item] as number)));
  const taste = Array.from({ length: law.communities.length }, (_, t) =>
    cumulate(law.tastes.subarray(t * genres, (t + 1) * genres)),
  );
  return (community, last) => {
    const route = last === 0 ? 1 : random.uniform();
    if (route < follow) return sequels[last * SEQUELS + pick(sequelRank, random)] as number;
    const genre = route < follow + mood ? (genreOf[last] as number) : pick(taste[community] as Float64Array, random);
    return members[genre]![pick(within[genre] as Float64Array, random)] as number;
  };
}
