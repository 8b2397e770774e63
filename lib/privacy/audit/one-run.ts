// What one training run proves about epsilon: a lower bound from guesses which canaries took part.

import * as check from '../../check';
import { logBinomial, binomialTail } from '../accounting/binomial';
import { logPhi, normalQuantile } from '../accounting/special';

/** Of `canaries` that took part by independent fair coins, `guesses` were guessed as in or out, `correct` of them rightly. */
export interface Guesses {
  readonly canaries: number;
  readonly guesses: number;
  readonly correct: number;
}

const MOST_EPSILON = 60; // e^60 : 1 is beyond what so many canaries could show

/**
 * How likely at least so many right guesses are, at most, if the mechanism is (ε, δ)-private for adding or removing a canary.
 *
 * Right guesses are dominated by Bin(r, e^ε / (1 + e^ε)), up to a mass that δ pays for: with f(v) = P[Bin ≥ v],
 * p ≤ f(v) + 2 m δ max_i (f(v - i) - f(v)) / i.
 *
 * @see Steinke, Nasr & Jagielski 2023 (arXiv 2305.08846), Theorem 5.2.
 */
export function guessProbability({ canaries, guesses, correct }: Guesses, epsilon: number, delta: number): number {
  const share = 1 / (1 + Math.exp(-epsilon));
  const tail = Math.exp(binomialTail(guesses, share, correct));
  let sum = 0;
  let steepest = 0;
  // The probabilities rise to the mode and fall behind it: once one is below the mean of those before it, the mean only falls.
  for (let i = 1; delta > 0 && i <= correct; i++) {
    const next = Math.exp(logBinomial(guesses, share, correct - i));
    if (next < steepest) break;
    sum += next;
    steepest = sum / i;
  }
  return Math.min(1, tail + 2 * canaries * delta * steepest);
}

/**
 * The largest ε that the guesses rule out at this confidence: whatever is below it would have made so many right guesses less likely
 * than 1 - confidence. 0 where nothing is ruled out.
 *
 * The number of guesses must not depend on the run: choose it with {@link guessCount}.
 *
 * @throws ERR_INVALID_ARGUMENT
 * @example epsilonLowerBound({ canaries: 1000, guesses: 100, correct: 97 }, 1e-5)  // 2.5: at least so much was spent
 */
export function epsilonLowerBound(guesses: Guesses, delta: number, confidence = 0.95): number {
  check.object('epsilonLowerBound', { guesses });
  const { canaries, guesses: made, correct } = guesses;
  check.integer('epsilonLowerBound', { canaries }, 1);
  check.integer('epsilonLowerBound', { guesses: made }, 1, canaries);
  check.integer('epsilonLowerBound', { correct }, 0, made);
  check.between('epsilonLowerBound', { confidence }, 0, 1);
  check.between('epsilonLowerBound', { delta }, -Number.MIN_VALUE, 1);
  const unlikely = (epsilon: number): boolean => guessProbability(guesses, epsilon, delta) < 1 - confidence;
  if (!unlikely(0)) return 0;
  let [low, high] = [0, MOST_EPSILON];
  if (unlikely(high)) return high;
  for (let k = 0; k < 60; k++) {
    const middle = (low + high) / 2;
    if (unlikely(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** What is public about a canary's score: a normal without it, another one with it. */
export interface ScoreLaw {
  /** Mean with the canary, minus mean without. */
  readonly gap: number;
  readonly sdWith: number;
  readonly sdWithout: number;
}

/**
 * How many guesses, half of them «in», half «out», promise the largest lower bound if the scores follow `law`. It depends on public
 * constants only, so that the bound stays valid.
 */
export function guessCount(canaries: number, { gap, sdWith, sdWithout }: ScoreLaw, delta: number): number {
  const phi = (x: number): number => Math.exp(logPhi(x));
  let best = { guesses: 2, bound: -1 };
  for (let guesses = 2; guesses <= canaries; guesses = Math.max(guesses + 2, 2 * Math.round(guesses * 0.55))) {
    // The cut above which that many scores lie, half of the canaries being in; `out` is its mirror image but for the widths.
    const wanted = guesses / (2 * canaries);
    const above = (cut: number): number => (phi((gap - cut) / sdWith) + phi(-cut / sdWithout)) / 2;
    let [low, high] = [-40 * sdWithout, gap + 40 * sdWith];
    for (let k = 0; k < 80; k++) {
      const middle = (low + high) / 2;
      if (above(middle) > wanted) low = middle;
      else high = middle;
    }
    const right = phi((gap - low) / sdWith) / 2 / wanted;
    const correct = Math.min(guesses, Math.floor(guesses * right));
    const bound = epsilonLowerBound({ canaries, guesses, correct }, delta);
    if (bound > best.bound) best = { guesses, bound };
  }
  return best.guesses;
}

/** The z beyond which a standard normal lies with probability `probability` on one side. */
export function quantileBeyond(probability: number): number {
  return -normalQuantile(Math.log(probability));
}
