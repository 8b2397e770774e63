// npm run bench -- accounting: how long the privacy commands think: processor time of each answer over a wide grid of settings, without the start of the process.
//   --quick   a few settings        --steps k   number of settings (default 96)        --json   one JSON object on the last line of standard output
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { root } from '../stamp.mjs';

const require = createRequire(import.meta.url);
const LIMIT = 2; // seconds

/** Points of a Weyl sequence: evenly spread over the box, the same every time. */
function settings(count) {
  const steps = [Math.SQRT2, Math.sqrt(3), Math.sqrt(5), Math.sqrt(7), Math.sqrt(11)];
  const within = (u, low, high) => Number((low * (high / low) ** u).toPrecision(3));
  return Array.from({ length: count }, (_, k) => {
    const [a, b, c, d, e] = steps.map((step) => ((k + 1) * step) % 1);
    const samplingRate = k % 8 === 7 ? 1 : within(b, 1e-5, 1);
    return {
      noiseMultiplier: within(a, 0.3, 20),
      samplingRate,
      steps: Math.ceil(within(c, 1, 1e6)),
      delta: within(d, 1e-12, 1e-3),
      epsilon: within(e, 0.1, 16),
    };
  });
}

/** Every accountant, and every sampler by the one that knows all of them. */
const PLANS = [
  ...['pld', 'prv', 'exact', 'rdp'].map((accountant) => ({ accountant, sampler: 'poisson' })),
  { accountant: 'pld', sampler: 'poisson', neighbours: 'replace' },
  { accountant: 'pld', sampler: 'poisson', groupSize: 5 },
  ...['truncatedPoisson', 'fixedSize', 'ballsAndBins', 'shuffle', 'external'].map((sampler) => ({
    accountant: 'pld',
    sampler,
  })),
];

/** A plan's flags. A truncated batch is cut five standard deviations above its mean, of as many records as fill a batch of 64 or more. */
function flagsOf(plan, setting) {
  if (plan.sampler !== 'truncatedPoisson') return { ...setting, ...plan };
  const records = Math.max(1000, Math.ceil(64 / setting.samplingRate));
  const mean = records * setting.samplingRate;
  return { ...setting, ...plan, records, maxBatchSize: Math.min(records, Math.ceil(mean + 5 * Math.sqrt(mean))) };
}

function commands() {
  const { accountantOf, eventOf } = require(join(root, 'dist/cli/privacy-plan.js'));
  const { comparison } = require(join(root, 'dist/cli/privacy-report.js'));
  const { affordableSteps, calibrateNoise } = require(join(root, 'dist/privacy/accounting/index.js'));
  const spent = (flags, steps) =>
    accountantOf(flags).epsilon([eventOf(flags, flags.noiseMultiplier, steps)], flags.delta);
  return {
    epsilon: (flags) => spent(flags, flags.steps),
    sigma: (flags) =>
      calibrateNoise({
        targetEpsilon: flags.epsilon,
        targetDelta: flags.delta,
        event: (sigma) => eventOf(flags, sigma, flags.steps),
        accountant: accountantOf(flags),
      }),
    steps: (flags) =>
      affordableSteps({
        targetEpsilon: flags.epsilon,
        targetDelta: flags.delta,
        event: eventOf(flags, flags.noiseMultiplier, 1),
        accountant: accountantOf(flags),
      }),
    curve: (flags) => Array.from({ length: 16 }, (_, k) => spent(flags, Math.ceil(((k + 1) / 16) * flags.steps))),
    compare: ({ accountant: _all, sampler: _each, ...flags }) => comparison(flags, flags.noiseMultiplier),
  };
}

function measured(answer, flags) {
  const before = process.cpuUsage();
  let refused = null;
  try {
    answer(flags);
  } catch (error) {
    if (error.code === undefined) throw error;
    refused = error.code; // an answer, too
  }
  const { user, system } = process.cpuUsage(before);
  return { seconds: (user + system) / 1e6, refused, flags };
}

const name = ({ accountant, sampler, neighbours, groupSize }) =>
  [accountant, sampler, neighbours, groupSize && `groups of ${groupSize}`].filter(Boolean).join(' ');

export function benchAccounting({ quick, json, steps: count }) {
  const run = commands();
  const all = settings(Number(count ?? (quick ? 6 : 96)));
  const rows = [];
  for (const [command, answer] of Object.entries(run)) {
    const plans =
      command === 'compare' ? PLANS.slice(0, 1) : command === 'curve' ? PLANS.filter((_, k) => k !== 2) : PLANS;
    for (const plan of plans) {
      const taken = command === 'curve' ? all.filter((_, k) => k % 4 === 0) : all;
      const times = taken.map((setting) => measured(answer, flagsOf(plan, setting)));
      times.sort((a, b) => a.seconds - b.seconds);
      const at = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))].seconds;
      const over = times.filter(({ seconds }) => seconds > LIMIT);
      const worst = times.at(-1);
      rows.push({
        command,
        plan: command === 'compare' ? 'all' : name(plan),
        settings: times.length,
        refused: times.filter(({ refused }) => refused !== null).length,
        median: at(0.5),
        most: at(0.95),
        worst: worst.seconds,
        over: over.length,
        setting: worst.flags,
        beyond: over.map(({ seconds, flags }) => ({ seconds, ...flags })),
      });
      const { samplingRate: q, noiseMultiplier: sigma, steps, delta, epsilon } = worst.flags;
      console.log(
        `${command.padEnd(8)} ${rows.at(-1).plan.padEnd(26)} ${times.length} settings: median ${at(0.5).toFixed(3)} s, 95 % within ` +
          `${at(0.95).toFixed(2)} s, worst ${worst.seconds.toFixed(2)} s (q ${q}, sigma ${sigma}, steps ${steps}, delta ${delta}, ` +
          `epsilon ${epsilon}), ${over.length} above ${LIMIT} s`,
      );
    }
  }
  if (json) console.log(JSON.stringify({ rows }));
}
