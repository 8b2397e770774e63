// Laws of the lower bound: what guesses of honest randomised responses prove is below the truth, and perfect guesses prove much.

import { epsilonLowerBound } from '../../../../lib/privacy';
import { guessCount, guessProbability } from '../../../../lib/privacy/audit/one-run';
import { insecureRandom } from '../../../../lib/privacy/sampling';

test('guesses at chance prove nothing, and perfect ones what the number of guesses allows', () => {
  expect(epsilonLowerBound({ canaries: 1000, guesses: 100, correct: 50 }, 0)).toBe(0);
  // All of r right has probability (1 + e^-ε)^-r, which is 0.05 at this ε.
  const limit = -Math.log(0.05 ** (-1 / 100) - 1);
  expect(epsilonLowerBound({ canaries: 1000, guesses: 100, correct: 100 }, 0)).toBeCloseTo(limit, 9);
});

test('the bound rises with right guesses, and falls with δ and with confidence', () => {
  const bound = (correct: number, delta = 0, confidence = 0.95): number =>
    epsilonLowerBound({ canaries: 1000, guesses: 200, correct }, delta, confidence);
  expect(bound(180)).toBeGreaterThan(bound(150));
  expect(bound(180, 1e-4)).toBeLessThan(bound(180));
  expect(bound(180, 0, 0.99)).toBeLessThan(bound(180));
});

test('the probability of at least v right guesses is at least that of the binomial, and equals it at δ = 0', () => {
  // P[Bin(3, 3/4) >= 2] = 27/32 at ε = ln 3.
  const guesses = { canaries: 10, guesses: 3, correct: 2 };
  expect(guessProbability(guesses, Math.log(3), 0)).toBeCloseTo(27 / 32, 12);
  // With δ: f(v - i) - f(v) is 9/64 for i = 1 and (9/64 + 1/64)/2 for i = 2; the first is steeper.
  expect(guessProbability(guesses, Math.log(3), 1e-3)).toBeCloseTo(27 / 32 + 2 * 10 * 1e-3 * (9 / 64), 12);
});

test('honest randomised responses are not proven wrong more often than the confidence says', () => {
  // Each of 400 coins is told rightly with probability e^ε / (1 + e^ε): the mechanism that the bound is tight for.
  const random = insecureRandom(7, 'audit test');
  const [epsilon, runs, count] = [1, 400, 400];
  const share = 1 / (1 + Math.exp(-epsilon));
  let above = 0;
  for (let run = 0; run < runs; run++) {
    let correct = 0;
    for (let k = 0; k < count; k++) if (random.uniform() <= share) correct += 1;
    if (epsilonLowerBound({ canaries: count, guesses: count, correct }, 0) > epsilon) above += 1;
  }
  // 5 % of 400 runs are 20, with standard deviation 4.4; fewer than none would mean a bound that proves nothing.
  expect(above).toBeLessThan(20 + 5 * 4.4);
  expect(above).toBeGreaterThan(0);
});

test('the fewer scores tell, the more guesses are made of them; the number is even and at most the canaries', () => {
  const law = (gap: number): number => guessCount(1000, { gap, sdWith: 1, sdWithout: 1 }, 1e-6);
  expect(law(5)).toBeGreaterThan(500);
  expect(law(0.5)).toBeGreaterThan(10);
  for (const gap of [0, 0.5, 1, 2, 3, 5]) {
    expect(law(gap) % 2).toBe(0);
    expect(law(gap)).toBeLessThanOrEqual(1000);
  }
});
