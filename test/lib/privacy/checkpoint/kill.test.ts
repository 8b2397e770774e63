// A process that is killed again and again: it always finds a checkpoint to go on from, ends, and never says less than it released.

import { existsSync, readFileSync } from 'node:fs';

import { Ledger, readCheckpoint } from '../../../../lib/privacy';
import { pld } from '../../../../lib/privacy/accounting/pld';
import { poissonGaussian } from '../../../../lib/privacy/accounting';
import { runChild } from '../../../fixtures/child';
import { fresh } from './fixture';

const KILLS = Number(process.env['PHANTOMGRAD_KILLS'] ?? 4);
const STEPS = 60;

jest.setTimeout(120_000 + KILLS * 60_000);

const epsilonOf = (steps: number): number => (steps === 0 ? 0 : pld().epsilon([poissonGaussian(0.25, 1, steps)], 1e-6));

/** Runs until the end, with up to `kills` kills at random moments. */
async function run(kills: number, recoverySteps: number): Promise<{ killed: number; result: Record<string, number> }> {
  const [folder, releases] = [fresh(), fresh()];
  const released = (): number => (existsSync(releases) ? readFileSync(releases).length : 0);
  let killed = 0;
  let paidBefore = 0;
  for (;;) {
    const kill = killed < kills;
    // Some steps on, and anywhere inside one: a step takes a few milliseconds.
    const after = Math.floor((Math.random() * STEPS) / (kills + 1)) + 1;
    let waiting = kill;
    const ended = await runChild('checkpoint/trainer.ts', [folder, releases, String(recoverySteps)], {
      onOutput: (child, stdout) => {
        if (!waiting || stdout.split('\n').length <= after) return;
        waiting = false;
        setTimeout(() => child.kill('SIGKILL'), Math.random() * 20);
      },
    });
    // Whatever happened: what is there can be loaded, and has paid for everything.
    const { ledger, steps } = readCheckpoint(folder);
    const paid = Ledger.fromJSON(ledger).events[0]?.count ?? 0;
    expect(paid).toBeGreaterThanOrEqual(released());
    expect(paid).toBeGreaterThanOrEqual(paidBefore);
    expect(paid).toBeLessThanOrEqual(STEPS + recoverySteps);
    expect(paid).toBeGreaterThanOrEqual(steps);
    paidBefore = paid;
    if (ended.signal === 'SIGKILL') {
      killed += 1;
      continue;
    }
    expect(ended).toMatchObject({ code: 0 });
    const result = JSON.parse(ended.stdout.trimEnd().split('\n').at(-1) as string) as Record<string, number>;
    expect(result.epsilon).toBeGreaterThanOrEqual(epsilonOf(released()) * (1 - 1e-12));
    expect(result.epsilon).toBeLessThanOrEqual(epsilonOf(STEPS + recoverySteps) * (1 + 1e-12));
    return { killed, result };
  }
}

test(`killed ${KILLS} times, runs end at the planned steps or at their budget, and have charged every release`, async () => {
  for (let total = 0; total < KILLS;) {
    const { killed, result } = await run(KILLS - total, 0);
    expect(killed).toBeGreaterThan(0);
    expect((result.steps as number) + (result.lostSteps as number)).toBe(STEPS); // nothing is left of the budget
    total += killed;
  }
});

test('with enough recovery steps it takes all the planned ones', async () => {
  const { result } = await run(2, 30);
  expect(result.steps).toBe(STEPS);
});
