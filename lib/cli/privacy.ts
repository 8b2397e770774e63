// `phantomgrad privacy epsilon | sigma`: what a plan costs, without data and without native code.

import { Command, Option } from 'commander';

import { type Accountant, calibrateNoise, exact, gaussian, pld, poissonGaussian, rdp } from '../privacy/accounting';
import { number } from './values';

const ACCOUNTANTS = { pld, exact, rdp };
type AccountantName = keyof typeof ACCOUNTANTS;

interface Flags {
  readonly samplingRate: number;
  readonly noiseMultiplier: number;
  readonly epsilon: number;
  readonly steps: number;
  readonly delta: number;
  readonly accountant: AccountantName;
  readonly json?: boolean;
}

/** ε of `steps` steps; a rate of 1 is the plain Gaussian mechanism. @throws ERR_INVALID_ARGUMENT */
export function epsilonOf(flags: Omit<Flags, 'epsilon' | 'json'>): number {
  const { samplingRate, noiseMultiplier, steps, delta } = flags;
  const event =
    samplingRate === 1 ? gaussian(noiseMultiplier, steps) : poissonGaussian(samplingRate, noiseMultiplier, steps);
  return accountantOf(flags.accountant).epsilon([event], delta);
}

function accountantOf(name: AccountantName): Accountant {
  return ACCOUNTANTS[name]();
}

function planOptions(command: Command): Command {
  return command
    .requiredOption('--sampling-rate <q>', 'probability that a record takes part in a step', number)
    .requiredOption('--steps <t>', 'number of steps', number)
    .requiredOption('--delta <d>', 'delta of the guarantee', number)
    .addOption(
      new Option(
        '--accountant <name>',
        'pld: certified upper bound; exact: the value, without proof; rdp: looser bound',
      )
        .choices(Object.keys(ACCOUNTANTS))
        .default('pld'),
    )
    .option('--json', 'last line on standard output: one JSON object');
}

export function privacyCommand(): Command {
  const epsilon = planOptions(
    new Command('epsilon').description('epsilon of a number of noisy steps, for adding or removing one record'),
  )
    .requiredOption('--noise-multiplier <s>', 'noise standard deviation over the clipping norm', number)
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad privacy epsilon --sampling-rate 0.01 --noise-multiplier 1 --steps 1000 --delta 1e-6
  $ phantomgrad privacy epsilon --sampling-rate 1 --noise-multiplier 20 --steps 100 --delta 1e-6 --json
`,
    )
    .action((flags: Flags) => {
      const value = epsilonOf(flags);
      console.log(
        flags.json ? JSON.stringify({ epsilon: value, delta: flags.delta, accountant: flags.accountant }) : value,
      );
    });
  const sigma = planOptions(
    new Command('sigma').description('the least noise that keeps a number of steps within epsilon'),
  )
    .requiredOption('--epsilon <e>', 'target', number)
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad privacy sigma --epsilon 8 --sampling-rate 0.01 --steps 1000 --delta 1e-6
`,
    )
    .action((flags: Flags) => {
      const found = calibrateNoise({
        targetEpsilon: flags.epsilon,
        targetDelta: flags.delta,
        samplingRate: flags.samplingRate,
        steps: flags.steps,
        accountant: accountantOf(flags.accountant),
      });
      console.log(
        flags.json
          ? JSON.stringify({ ...found, delta: flags.delta, accountant: flags.accountant })
          : `${found.noiseMultiplier}  (epsilon ${found.epsilon})`,
      );
    });
  return new Command('privacy')
    .description('what a training plan costs, without data')
    .addCommand(epsilon)
    .addCommand(sigma);
}
