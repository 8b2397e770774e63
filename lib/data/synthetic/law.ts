// The law of the made-up histories: genres with popular and rare items, communities with tastes, sequels.

import { raise } from '../../errors';
import * as check from '../../check';
import { Prng } from './prng';

/** Public parameters of the law; every default is part of the embedded data of `npm start`. */
export interface LawOptions {
  /** Fixes which item is in which genre, what follows what, and the tastes. Default 1. */
  readonly seed?: number;
  /** Default 1200. */
  readonly items?: number;
  /** As many genres as communities. Default 40. */
  readonly genres?: number;
}

/**
 * Everything that decides the histories.
 *
 * - Items are dealt to genres of equal size. Within its genre, the item of popularity rank r = 1, 2, … has weight v ∝ 1/r.
 * - There are as many communities as genres. Community t loves three genres, with shares 0.4, 0.35, 0.25 of its taste, the first one
 *   being genre t, the others drawn at random; 5 % of its taste goes to all genres, genre g having a share ∝ 1/√(g + 1).
 *   Communities have sizes ∝ 1/√(t + 1). A user belongs to one community for good.
 * - The items of a genre stand in a random circle; the sequels of an item are the three next to it, with shares 0.6, 0.3, 0.1.
 * - After item i, a user of community t takes item j with probability proportional to
 *
 *       follow · sequel(j | i) + mood · [genre(j) = genre(i)] v(j) + (1 - follow - mood) · taste_t(genre(j)) v(j)
 *
 *   among the items that the user has not taken yet, and to taste_t(genre(j)) v(j) for the first item.
 * - The number of actions is 10 + a geometric count of mean 12, at most 40, independent of everything else.
 */
export interface Law {
  readonly items: number;
  readonly genres: number;
  readonly follow: number;
  readonly mood: number;
  /** Genre of item i at index i, 1..items. */
  readonly genreOf: Int32Array;
  /** v of item i at index i: sums to 1 over each genre. */
  readonly weight: Float64Array;
  /** Items of each genre, most popular first. */
  readonly members: readonly Int32Array[];
  /** `[items + 1, 3]`: sequels of item i at 3 i, 3 i + 1, 3 i + 2. */
  readonly sequels: Int32Array;
  readonly sequelShares: Float64Array;
  /** Prior of each community. */
  readonly communities: Float64Array;
  /** `[communities, genres]`: rows sum to 1. */
  readonly tastes: Float64Array;
}

/** Sequels of an item. */
export const SEQUELS = 3;

/** Shortest and longest history, and the mean of the geometric count in between. */
export const LENGTHS = { least: 10, most: 40, meanExtra: 12 } as const;

const LOVED = [0.4, 0.35, 0.25] as const;
const BACKGROUND = 0.05;

/** Draws a law. @throws ERR_INVALID_ARGUMENT for fewer than 4 genres or genres of fewer than 20 items. */
export function syntheticLaw({ seed = 1, items = 1200, genres = 40 }: LawOptions = {}): Law {
  check.integer('syntheticLaw', { seed }, 0, 2 ** 32 - 1);
  check.integer('syntheticLaw', { genres }, 4);
  check.integer('syntheticLaw', { items }, 1);
  // A user of three small genres would run out of items that were not taken yet.
  if (items < 20 * genres)
    raise(
      'ERR_INVALID_ARGUMENT',
      `syntheticLaw: items must be at least 20 a genre, got ${items} items in ${genres} genres.`,
    );
  const random = new Prng(seed, 0);
  // Shuffled, so that an item's number says nothing about it.
  const dealt = random.shuffle(Int32Array.from({ length: items }, (_, k) => k + 1));
  const members = Array.from({ length: genres }, (_, g) =>
    dealt.slice(Math.round((g * items) / genres), Math.round(((g + 1) * items) / genres)),
  );
  const genreOf = new Int32Array(items + 1);
  const weight = new Float64Array(items + 1);
  const sequels = new Int32Array((items + 1) * SEQUELS);
  members.forEach((genre, g) => {
    const shares = powerLaw(genre.length, 1);
    genre.forEach((item, rank) => {
      genreOf[item] = g;
      weight[item] = shares[rank] as number;
    });
    const circle = random.shuffle(genre.slice());
    circle.forEach((item, k) => {
      for (let s = 0; s < SEQUELS; s++) sequels[item * SEQUELS + s] = circle[(k + 1 + s) % circle.length] as number;
    });
  });
  return {
    items,
    genres,
    follow: 0.1,
    mood: 0.05,
    genreOf,
    weight,
    members,
    sequels,
    sequelShares: Float64Array.of(0.6, 0.3, 0.1),
    communities: powerLaw(genres, 0.5),
    tastes: drawTastes(genres, random),
  };
}

function drawTastes(genres: number, random: Prng): Float64Array {
  const common = powerLaw(genres, 0.5);
  const tastes = new Float64Array(genres * genres);
  for (let community = 0; community < genres; community++) {
    const loved = new Set([community]);
    while (loved.size < LOVED.length) loved.add(random.below(genres));
    const row = tastes.subarray(community * genres, (community + 1) * genres);
    row.forEach((_, g) => (row[g] = BACKGROUND * (common[g] as number)));
    [...loved].forEach((g, k) => (row[g]! += (1 - BACKGROUND) * (LOVED[k] as number)));
  }
  return tastes;
}

/** Shares ∝ rank^-exponent, rank from 1. Powers 1 and 1/2 only need operations that round alike everywhere. */
function powerLaw(length: number, exponent: 0.5 | 1): Float64Array {
  const shares = Float64Array.from({ length }, (_, k) => 1 / (exponent === 1 ? k + 1 : Math.sqrt(k + 1)));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}
