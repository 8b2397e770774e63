// Poisson sampling: every record joins a batch independently with rate q = B / N.

import { NEIGHBOURS, poissonGaussian } from '../accounting/events';
import type { RandomSource } from './csprng';
import { batchSizeOf, memoryless, type MemorylessSampler, rateOf, soundNeighbours, stepsOf } from './sampler';

/**
 * The sampler that amplification by subsampling is proven for. The batch size varies around B and may be 0: that is a step of noise
 * only, charged as any other.
 *
 * A draw jumps from one chosen record to the next: the number of records passed over is geometric, floor(ln U / ln(1 - q)) with U
 * uniform on {1, …, 2^53} / 2^53, so a draw costs O(qN). Gaps, and so records, are independent. P(gap ≥ m) is P(U ≤ (1 - q)^m), exact
 * up to the lattice of U (2^-53) and the rounding of two logarithms: below 2^-51 together, for the 37/q values of m that a gap can
 * take. Through the renewal equation of the gaps that moves the rate of a record by less than 2 · 38 · 2^-51 < 2^-44.
 *
 * @throws ERR_INVALID_ARGUMENT when `batchSize` is not a whole number above 0.
 * @example const sampler = poisson({ batchSize: 256 }); const ids = sampler.draw(6040, secureRandom());
 */
export function poisson(options: { batchSize: number }): MemorylessSampler {
  const batchSize = batchSizeOf('poisson', options);
  const draw = (records: number, random: RandomSource): Int32Array =>
    drawPoisson(rateOf('poisson', batchSize, records), records, random);
  return Object.freeze<MemorylessSampler>({
    kind: 'poisson',
    batchSize,
    neighbours: NEIGHBOURS,
    steps: (records, epochs) => stepsOf('poisson', batchSize, records, epochs),
    event: (noiseMultiplier, records, count = 1, neighbours) =>
      poissonGaussian(
        rateOf('poisson', batchSize, records),
        noiseMultiplier,
        count,
        soundNeighbours('poisson', neighbours, NEIGHBOURS),
      ),
    draw,
    open: memoryless(draw),
  });
}

/** A Poisson sample at rate q. */
export function drawPoisson(q: number, records: number, random: RandomSource): Int32Array {
  const logMiss = Math.log1p(-q); // -Infinity for q = 1: every gap is 0
  const drawn: number[] = [];
  for (let next = gap(random.uniform(), logMiss); next < records; next += 1 + gap(random.uniform(), logMiss))
    drawn.push(next);
  return Int32Array.from(drawn);
}

function gap(uniform: number, logMiss: number): number {
  return Math.floor(Math.log(uniform) / logMiss);
}
