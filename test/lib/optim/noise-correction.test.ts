// Laws of the corrected second moment (DP-AdamBC) under an engine: its σ, C, B and scales are what is taken out.

import { adam, adamw } from '../../../lib/optim';
import { groupScales, normalize } from '../../../lib/privacy';
import { tensor, tidy } from '../../../lib/tensor';
import { engineFor, histories, smallModel, weights } from '../privacy/fixture';

const [SIGMA, C, B, LR, FLOOR] = [2, 0.5, 10, 0.01, 1e-3];
const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;

test.each([null, 0.25])('an update divides by the root of max(v̂ - (σC / (B s))², floor) (s = %p)', (scale) => {
  const model = smallModel();
  const scaled = scale === null ? {} : { scales: groupScales([{ prefixes: ['positions', 'blocks'], scale }]) };
  const engine = engineFor(model, { noiseMultiplier: SIGMA, clip: normalize({ maxGradNorm: C }), ...scaled });
  const own = adam(model.parameters(), { lr: LR, eps: 0, noiseCorrection: { floor: FLOOR } });
  const optimizer = engine.attach(own);
  let before: number[] = [];
  for (const batch of engine.batches(histories())) {
    before = weights(model);
    optimizer.step({ loss: model.loss(batch) });
  }
  const after = weights(model);
  const { steps, tensors } = own.stateDict();
  const [m, v] = ['expAvg', 'expAvgSq'].map((name) => tensors[name]!.toTypedArray() as Float32Array);
  const table = model.items.weight.numel; // first in the arena, and not scaled
  let floored = 0;
  after.forEach((value, i) => {
    const noise = (SIGMA * C) / (B * (i < table ? 1 : (scale ?? 1)));
    const left = v![i]! / (1 - 0.999 ** steps) - noise ** 2;
    if (left < FLOOR) floored += 1;
    const step = ((LR / (1 - 0.9 ** steps)) * m![i]!) / Math.sqrt(Math.max(left, FLOOR));
    expect(Math.abs(before[i]! - step - value)).toBeLessThan(1e-5 * (1 + Math.abs(step)));
  });
  expect(floored).toBeGreaterThan(after.length / 10);
  expect(floored).toBeLessThan(after.length);
  engine.close();
});

test('without noise it is plain Adam, bit for bit', () => {
  const trained = (options: { noiseCorrection?: { floor: number } }): number[] => {
    const model = smallModel();
    const engine = engineFor(model, { noiseMultiplier: 0 });
    const optimizer = engine.attach(adamw(model.parameters(), { lr: LR, ...options }));
    for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
    engine.close();
    return weights(model);
  };
  expect(trained({ noiseCorrection: { floor: FLOOR } })).toEqual(trained({}));
});

test('a floor that is not above 0 and a step of plain gradients are refused; it is among the settings of a checkpoint', () => {
  tidy(() => {
    const parameter = tensor([1, 2]).requiresGrad_();
    for (const floor of [0, -1, NaN]) expect(() => adam([parameter], { noiseCorrection: { floor } })).toThrow(invalid);
    expect(() => adam([parameter], { noiseCorrection: { flor: 1 } as never })).toThrow(invalid);
    const optimizer = adam([parameter], { noiseCorrection: { floor: 1 } });
    expect(optimizer.settings).toMatchObject({ noiseFloor: 1 });
    expect(adam([parameter]).settings).toEqual({ betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
    parameter.grad = tensor([1, 1]);
    expect(() => optimizer.step()).toThrow(expect.objectContaining({ code: 'ERR_ENGINE_STATE' }));
  });
});
