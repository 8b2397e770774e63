// Batches of a fixed size without replacement, neighbours `replace`: one step's dominating pair.
//
// With γ = B/N and the Gaussian mechanism's μ = 2/σ (replacing a record of the batch moves the sum by up to 2),
//   δ(log(1 + γ (e^ε - 1))) <= γ δ_G(ε; μ)      for ε >= 0: Balle, Barthe and Gaboardi 2018, arXiv 1807.01647, Theorem 9.
// That is the curve f of P0 = (1-γ) N(0) + γ N(μ) against N(0), for losses above 0. For losses below 0 no data set attains the
// curve of (P0, N(0)), and self-composing that pair would be optimistic (Lebeda et al. 2024, arXiv 2405.20769). But the relation is
// symmetric, and H_α(P||Q) = 1 - α + α H_{1/α}(Q||P) bounds α < 1 by the same f: together the curve of a pair that has P0's losses
// above 0, their mirror image below, and the rest of its mass at 0. That rest is 1 - P0(L > 0) - N(0)(L > 0), with t = Φ(-μ/2)
// equal to 1 - (1-γ) t - γ (1-t) - t = (1-γ) (1-2t) >= 0, so the pair exists.

import type { TiltedSum } from './cumulant';
import { type DiscreteLoss, type GridOptions, RULE, sumOf } from './discretisation';
import { REACH } from './loss';
import { joined, lineNodes, type LossNodes, type NodeOptions } from './lossNodes';
import type { LossPair } from './lossPair';
import { type Line, logRatio } from './mixture';
import { OUT_OF_REACH } from './mixtureMoments';
import { cellsFrom, normalised } from './mixtureGrid';

const { Math } = globalThis; // a look-up of the global for every call is slow where globals are wrapped (vm, Jest)

/** Panels of the quadrature after which a moment counts as out of reach. */
const MOST_PANELS = 5e4;

const SQRT_2PI = 2.50662827463100050241576528481;

/** One step at rate 0 < γ < 1; the noise multiplier is relative to the bound on one record's contribution. */
export function fixedSizePair(rate: number, sigma: number): LossPair {
  // In units of 2: the shift is 1 and the noise σ/2; the loss is 0 at the output 1/2.
  const line: Line = {
    p: { weights: [1 - rate, rate], means: [0, 1] },
    q: { weights: [1], means: [0] },
    sigma: sigma / 2,
  };
  return {
    symmetric: true,
    largestTilt: 1 + 5e3 * Math.min(line.sigma, line.sigma ** 2),
    largestLoss: () => Infinity,
    tilted: (_direction, s, logCut) => tilted(line, s, logCut),
    discretise: (options) => symmetrised(line, options),
    nodes: (options) => symmetricNodes(line, options),
  };
}

function symmetrised(line: Line, options: GridOptions): DiscreteLoss {
  const { width: h, tilt, log } = options;
  const raw = cellsFrom(line, 0.5, options); // from loss 0 up: `start` is 0, or -1 by rounding
  const top = raw.start + raw.mass.length - 1;
  const mass = new Float64Array(2 * top + 1);
  let rest = 1 - Math.exp(raw.logInfinity);
  for (let i = 1; i <= top; i++) {
    const part = raw.mass[i - raw.start]!;
    if (part === 0) continue;
    mass[top + i]! += part;
    mass[top - i]! += Math.exp(Math.log(part) - (1 + 2 * tilt) * i * h); // the Q-mass of loss ih is the P-mass of -ih
    const plain = Math.exp(Math.log(part) + log - tilt * i * h);
    rest -= plain * (1 + Math.exp(-i * h));
  }
  mass[top] = Math.max(0, rest) * Math.exp(-log);
  // `exact` counted losses above 0 alone, on which all of the rounding up happens.
  const raised = sumOf(raw.mass) - raw.exact;
  return normalised({ mass, start: -top, exact: sumOf(mass) - raised, logInfinity: raw.logInfinity }, options);
}

function symmetricNodes(line: Line, options: NodeOptions): LossNodes {
  const above = lineNodes(line, options, 0.5);
  const below = { loss: above.loss.map((l) => -l), logMass: above.logMass.map((log, k) => log - above.loss[k]!) };
  const sided = joined(above, 0, below, 0);
  const rest = 1 - sided.logMass.reduce((sum, log) => sum + Math.exp(log), 0);
  return rest > 0 ? joined(sided, 0, { loss: Float64Array.of(0), logMass: Float64Array.of(Math.log(rest)) }, 0) : sided;
}

/** K(s) - 1 = ∫_{x > 1/2} [P (e^{sL} - 1) + Q (e^{-sL} - 1)] dx, a sum of positive terms for s > 0. */
function tilted({ p, sigma }: Line, s: number, logCut: number): TiltedSum {
  const panel = Math.min(sigma, sigma * sigma) / 2;
  // Leaves out the outputs of the largest losses, of which at least those up to the record's own centre stay.
  const cut = 1 + sigma * Math.sqrt(2 * Math.max(0, Math.log(p.weights[1] as number) - logCut));
  const end = Math.min(1 + REACH * sigma + Math.abs(s), cut);
  const count = Math.ceil((end - 0.5) / panel);
  if (count > MOST_PANELS) return OUT_OF_REACH;
  let top = 0;
  for (let j = 0; j <= count; j++) {
    const x = 0.5 + j * panel; // the ends, too: at a large tilt the last panel alone rises beyond doubles
    top = Math.max(top, (1 + Math.abs(s)) * logRatio(p, sigma, x) - (x * x) / (2 * sigma * sigma));
  }
  let excess = 0; // (K - 1) e^{-top}
  let first = 0; // E[L e^{sL}] e^{-top}
  let second = 0;
  for (let j = 0; j < count; j++) {
    const from = 0.5 + j * panel;
    for (const [node, weight] of RULE) {
      const x = from + node * panel;
      const loss = logRatio(p, sigma, x);
      const base = -(x * x) / (2 * sigma * sigma) - top;
      const m = weight * panel;
      const up = Math.exp(base + (1 + s) * loss);
      const down = Math.exp(base - s * loss);
      const small = Math.abs(s) * loss < 30;
      excess +=
        m * (small ? Math.exp(base) * (Math.exp(loss) * Math.expm1(s * loss) + Math.expm1(-s * loss)) : up + down);
      first += m * loss * (up - down);
      second += m * loss * loss * (up + down);
    }
  }
  const norm = 1 / (sigma * SQRT_2PI);
  const log = top > 30 ? top + Math.log(norm * excess + Math.exp(-top)) : Math.log1p(norm * excess * Math.exp(top));
  const scale = norm * Math.exp(top - log);
  const mean = first * scale;
  return { log, mean, variance: Math.max(second * scale - mean * mean, 1e-300) };
}
