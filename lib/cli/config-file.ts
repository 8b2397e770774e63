// Options from a JSON file: the same names as on the command line in camelCase, which wins.

import { readFileSync } from 'node:fs';

import type { Command, Option } from 'commander';

import { raise } from '../errors';

/**
 * Fills in options of `command` that were not given on the command line.
 *
 * @param self  The option that names the file, which a file cannot hold.
 * @throws ERR_INVALID_ARGUMENT for a file that cannot be read, is no JSON object, or names an option that the command does not have.
 * @example { "data": "ratings.dat", "epsilon": 8, "batchSize": 512, "plain": true }
 */
export function applyConfigFile(command: Command, path: string, self = 'config'): void {
  for (const [name, value] of Object.entries(readObject(path))) {
    const option = command.options.find((known) => known.attributeName() === name && name !== self);
    if (option === undefined) {
      const names = command.options.map((known) => known.attributeName()).filter((known) => known !== self);
      return raise(
        'ERR_INVALID_ARGUMENT',
        `${path}: ${JSON.stringify(name)} is not an option. Options: ${names.join(', ')}.`,
      );
    }
    const source = command.getOptionValueSource(name);
    if (source === 'cli') continue;
    command.setOptionValueWithSource(name, parse(option, value, `${path}: ${name}`), 'config');
  }
}

function readObject(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    return raise('ERR_INVALID_ARGUMENT', `${path}: cannot be read as JSON: ${(error as Error).message}.`, error);
  }
  return raise('ERR_INVALID_ARGUMENT', `${path}: must hold one JSON object with options.`);
}

// Values pass the same parsers as on the command line, so that both ways accept the same.
function parse(option: Option, value: unknown, where: string): unknown {
  if (option.isBoolean()) {
    return typeof value === 'boolean' ? value : raise('ERR_INVALID_ARGUMENT', `${where} must be true or false.`);
  }
  if (typeof value !== 'string' && typeof value !== 'number') {
    return raise('ERR_INVALID_ARGUMENT', `${where} must be text or a number.`);
  }
  const text = String(value);
  try {
    return option.parseArg === undefined ? text : option.parseArg<unknown>(text, undefined);
  } catch (error) {
    return raise('ERR_INVALID_ARGUMENT', `${where} ${(error as Error).message}`, error);
  }
}
