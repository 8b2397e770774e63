// TEMPORARY until the real one lands (uncommitted).
import type { Accountant } from './accountant';
import { poissonGaussian } from './events';
import { pld } from './pld';
export function calibrateNoise(o: { targetEpsilon: number; targetDelta: number; samplingRate: number; steps: number; accountant?: Accountant }) {
  const a = o.accountant ?? pld();
  const f = (s: number) => a.epsilon([poissonGaussian(o.samplingRate, s, o.steps)], o.targetDelta);
  let lo = 0.05, hi = 1;
  while (f(hi) > o.targetEpsilon) hi *= 2;
  for (let i = 0; i < 25 && hi / lo > 1 + 1e-4; i++) { const m = Math.sqrt(lo * hi); if (f(m) > o.targetEpsilon) lo = m; else hi = m; }
  return { noiseMultiplier: hi, epsilon: f(hi) };
}
