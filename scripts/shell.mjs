// Runs commands for the other scripts.
import { spawn, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';

/** A step that failed with a message of its own: scripts print the message, not a stack. */
export class StepError extends Error {}

const shorten = (text) => (text.length <= 200 ? text : `${text.slice(0, 200)} …`);

/** Runs a program with our own input and output. @throws StepError when it cannot start or ends with another code than 0. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    child.once('error', (error) => reject(new StepError(`${command} did not start: ${error.message}`)));
    child.once('close', (status, signal) => {
      if (status === 0) resolve();
      else reject(new StepError(`${shorten([command, ...args].join(' '))} ended with ${signal ?? `code ${status}`}.`));
    });
  });
}

/** Whether `command --version` runs; its first number pair as [major, minor], or null. */
export function versionOf(command, environment = process.env) {
  const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8', env: environment });
  if (status !== 0) return null;
  const [, major, minor] = /(\d+)\.(\d+)/.exec(stdout) ?? [null, '0', '0'];
  return [Number(major), Number(minor)];
}

/** Whether a module is the script that was started. By real path: a checkout may be reached through a link. */
export function isMain({ filename }) {
  return process.argv[1] !== undefined && realpathSync(process.argv[1]) === filename;
}

/** Runs the main function of a script and turns failures into one message and exit code 1. */
export async function main(action) {
  try {
    await action();
  } catch (error) {
    const expected = error instanceof StepError || error.code?.startsWith?.('ERR_');
    console.error(expected ? `\n${error.code ? `${error.code}: ` : ''}${error.message}` : error);
    process.exitCode = 1;
  }
}
