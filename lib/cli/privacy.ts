// `phantomgrad privacy`: what a plan costs and what a budget allows, without data and without native code.

import { writeFileSync } from 'node:fs';

import { Command, Option } from 'commander';

import { raise } from '../errors';
import { affordableSteps, calibrateNoise } from '../privacy/accounting';
import { svgPlot, textPlot } from './plot';
import {
  accountantOf,
  eventOf,
  neighboursOf,
  noiseOrTarget,
  type PlanFlags,
  planOptions,
  rateOf,
  stepsOf,
  warn,
  warningsOf,
} from './privacy-plan';
import { comparison, planStatement } from './privacy-report';
import { number } from './values';

/** ε of the plan; a rate of 1 is the plain Gaussian mechanism. @throws ERR_INVALID_ARGUMENT */
export function epsilonOf(flags: PlanFlags & { readonly noiseMultiplier: number }): number {
  const { noiseMultiplier, delta } = flags;
  return accountantOf(flags).epsilon([eventOf(flags, noiseMultiplier, stepsOf(flags))], delta);
}

/** σ of the plan: given, or the least that keeps the target. @throws ERR_PRIVACY_TARGET, ERR_INVALID_ARGUMENT */
function sigmaOf(flags: PlanFlags): { readonly noiseMultiplier: number; readonly epsilon: number } {
  noiseOrTarget(flags);
  const { noiseMultiplier, epsilon: target, delta } = flags;
  if (noiseMultiplier !== undefined) return { noiseMultiplier, epsilon: epsilonOf({ ...flags, noiseMultiplier }) };
  const steps = stepsOf(flags);
  if (steps === 0) raise('ERR_INVALID_ARGUMENT', 'privacy: --steps must be at least 1 where noise is to be found.');
  return calibrateNoise({
    targetEpsilon: target as number,
    targetDelta: delta,
    event: (sigma) => eventOf(flags, sigma, steps),
    accountant: accountantOf(flags),
  });
}

function print(flags: PlanFlags, text: string, json: Record<string, unknown>): void {
  const warnings = warningsOf(flags);
  warn(warnings);
  const context = { delta: flags.delta, accountant: flags.accountant, neighbours: neighboursOf(flags) };
  console.log(
    flags.json ? JSON.stringify({ ...json, ...context, ...(warnings.length === 0 ? {} : { warnings }) }) : text,
  );
}

const NOISE = ['--noise-multiplier <s>', 'noise standard deviation over the clipping norm', number] as const;
const TARGET = ['--epsilon <e>', 'target', number] as const;

/** Known, so that its refusal can say why; not offered. */
function refusedOption(flags: string): Option {
  return new Option(flags).argParser(number).hideHelp();
}

function command(name: string, description: string, examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ phantomgrad privacy ${name} ${example}`).join('\n');
  return planOptions(new Command(name).description(description)).addHelpText('after', `\nExamples:\n${lines}\n`);
}

function epsilonCommand(): Command {
  return command('epsilon', 'epsilon of a number of noisy steps', [
    '--sampling-rate 0.01 --noise-multiplier 1 --steps 1000 --delta 1e-6',
    '--records 6040 --batch-size 256 --noise-multiplier 1 --epochs 20 --delta 1e-6 --sampler fixedSize --json',
  ])
    .requiredOption(...NOISE)
    .addOption(refusedOption('--epsilon <e>'))
    .action((flags: PlanFlags & { readonly noiseMultiplier: number }) => {
      noiseOrTarget(flags);
      const epsilon = epsilonOf(flags);
      print(flags, String(epsilon), { epsilon });
    });
}

function sigmaCommand(): Command {
  return command('sigma', 'the least noise that keeps a number of steps within epsilon', [
    '--epsilon 8 --sampling-rate 0.01 --steps 1000 --delta 1e-6',
    '--epsilon 8 --records 6040 --batch-size 256 --epochs 20 --delta 1e-6 --sampler ballsAndBins',
  ])
    .requiredOption(...TARGET)
    .addOption(refusedOption('--noise-multiplier <s>'))
    .action((flags: PlanFlags) => {
      const found = sigmaOf(flags);
      print(flags, `${found.noiseMultiplier}  (epsilon ${found.epsilon})`, { ...found });
    });
}

function stepsCommand(): Command {
  const found = command('steps', 'the most steps that stay within epsilon', [
    '--epsilon 8 --noise-multiplier 1 --sampling-rate 0.01 --delta 1e-6',
  ]);
  for (const option of found.options) if (['--steps', '--epochs'].includes(option.long ?? '')) option.hideHelp();
  return found
    .requiredOption(...NOISE)
    .requiredOption(...TARGET)
    .action((flags: PlanFlags & { readonly noiseMultiplier: number; readonly epsilon: number }) => {
      if (flags.steps !== undefined || flags.epochs !== undefined) {
        raise('ERR_INVALID_ARGUMENT', 'privacy steps: finds the number of steps; leave --steps and --epochs out.');
      }
      const accountant = accountantOf(flags);
      const event = eventOf(flags, flags.noiseMultiplier, 1);
      const steps = affordableSteps({ targetEpsilon: flags.epsilon, targetDelta: flags.delta, event, accountant });
      if (steps === 0) {
        const least = accountant.epsilon([event], flags.delta).toPrecision(4);
        raise(
          'ERR_PRIVACY_TARGET',
          `privacy steps: one step alone costs epsilon ${least}, the target is ${flags.epsilon}. Take more noise.`,
        );
      }
      const epsilon = accountant.epsilon([eventOf(flags, flags.noiseMultiplier, steps)], flags.delta);
      const epochs = steps * rateOf(flags);
      print(flags, `${steps}  (epsilon ${epsilon}, ${epochs.toPrecision(4)} epochs)`, { steps, epochs, epsilon });
    });
}

interface CurveFlags extends PlanFlags {
  readonly over: 'steps' | 'delta';
  readonly points: number;
  readonly svg?: string;
}

function curveCommand(): Command {
  return command('curve', 'epsilon as training goes on, or over delta, as a plot', [
    '--sampling-rate 0.01 --noise-multiplier 1 --steps 1000 --delta 1e-6',
    '--sampling-rate 0.01 --epsilon 8 --steps 1000 --delta 1e-6 --svg epsilon.svg',
  ])
    .option(...NOISE)
    .option(...TARGET)
    .addOption(new Option('--over <what>', 'horizontal axis').choices(['steps', 'delta']).default('steps'))
    .option('--points <n>', 'points of the curve', number, 16)
    .option('--svg <file>', 'also write the plot as SVG')
    .action((flags: CurveFlags) => {
      if (!(Number.isSafeInteger(flags.points) && flags.points >= 2 && flags.points <= 200)) {
        raise('ERR_INVALID_ARGUMENT', `privacy curve: --points must be from 2 to 200, got ${flags.points}.`);
      }
      noiseOrTarget(flags);
      const noiseMultiplier = flags.noiseMultiplier ?? sigmaOf(flags).noiseMultiplier;
      const accountant = accountantOf(flags);
      const total = stepsOf(flags);
      const overSteps = flags.over === 'steps';
      const points = Array.from({ length: flags.points }, (_, k) => {
        const steps = overSteps ? Math.ceil(((k + 1) / flags.points) * total) : total;
        const delta = overSteps ? flags.delta : 10 ** (Math.log10(flags.delta) * ((k + 1) / flags.points));
        return { steps, delta, epsilon: accountant.epsilon([eventOf(flags, noiseMultiplier, steps)], delta) };
      });
      const labels: readonly [string, string] = overSteps ? ['steps', 'epsilon'] : ['-log10(delta)', 'epsilon'];
      const drawn = points.map(({ steps, delta, epsilon }) => ({
        x: overSteps ? steps : -Math.log10(delta),
        y: epsilon,
      }));
      if (flags.svg !== undefined) writeFileSync(flags.svg, svgPlot(drawn, ...labels));
      print(flags, textPlot(drawn, ...labels), { noiseMultiplier, points });
    });
}

function compareCommand(): Command {
  return command('compare', 'the same noise and batches by every accountant and sampler that is sound', [
    '--records 6040 --batch-size 256 --noise-multiplier 1 --epochs 20 --delta 1e-6',
  ])
    .option(...NOISE)
    .option(...TARGET)
    .action((flags: PlanFlags) => {
      noiseOrTarget(flags);
      const { maxBatchSize: _cut, ...plain } = flags; // a target is met by the plain sampler, then compared
      const own = flags.sampler === 'truncatedPoisson' ? flags : plain;
      const noiseMultiplier = flags.noiseMultiplier ?? sigmaOf(own).noiseMultiplier;
      const rows = comparison(flags, noiseMultiplier);
      const lines = rows.map(({ sampler, neighbours, accountant, epsilon, refused }) =>
        [
          sampler.padEnd(17),
          neighbours.padEnd(10),
          accountant.padEnd(6),
          epsilon?.toPrecision(5) ?? `- (${refused})`,
        ].join(' '),
      );
      print(flags, [`noise multiplier ${noiseMultiplier}`, ...lines].join('\n'), { noiseMultiplier, rows });
    });
}

function statementCommand(): Command {
  return command('statement', 'the privacy statement of a plan, before any training', [
    '--records 6040 --batch-size 256 --epsilon 8 --epochs 20 --delta 1e-6',
  ])
    .option(...NOISE)
    .option(...TARGET)
    .option('--unit <words>', 'what one record is', 'one record')
    .action((flags: PlanFlags & { readonly unit: string }) => {
      const { noiseMultiplier, epsilon } = sigmaOf(flags);
      const text = planStatement(flags, noiseMultiplier, epsilon);
      print(flags, text, { epsilon, noiseMultiplier, steps: stepsOf(flags), samplingRate: rateOf(flags), text });
    });
}

const EXAMPLES = `
Examples:
  $ phantomgrad privacy epsilon --sampling-rate 0.01 --noise-multiplier 1 --steps 1000 --delta 1e-6
  $ phantomgrad privacy sigma --epsilon 8 --records 6040 --batch-size 256 --epochs 20 --delta 1e-6
  $ phantomgrad privacy steps --epsilon 8 --noise-multiplier 1 --sampling-rate 0.01 --delta 1e-6
`;

export function privacyCommand(): Command {
  return [epsilonCommand, sigmaCommand, stepsCommand, curveCommand, compareCommand, statementCommand].reduce(
    (root, make) => root.addCommand(make()),
    new Command('privacy').description('what a training plan costs, without data').addHelpText('after', EXAMPLES),
  );
}
