// How a command fails: one line on standard error with a stable code, and an exit code that says whose fault it was.

import { CommanderError } from 'commander';

import { type ErrorCode, PhantomgradError } from '../errors';

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** Something failed that the input did not cause: no LibTorch, no memory, a full disk. */
  failure: 1,
  /** Options, data or folders are not what they must be; nothing was written. */
  badInput: 2,
  /** Stopped by Ctrl-C (128 + SIGINT). */
  interrupted: 130,
  /** Stopped by SIGTERM (128 + SIGTERM). */
  terminated: 143,
} as const;

const BAD_INPUT: ReadonlySet<ErrorCode> = new Set([
  'ERR_INVALID_ARGUMENT',
  'ERR_DEVICE',
  'ERR_DATA_FORMAT',
  'ERR_VOCABULARY',
  'ERR_MODEL_NOT_FOUND',
  'ERR_MODEL_CONFIG',
  'ERR_MODEL_WEIGHTS',
  'ERR_RUN_FOLDER',
  'ERR_CHECKPOINT_NOT_FOUND',
  'ERR_CHECKPOINT_DAMAGED',
  'ERR_CHECKPOINT_MISMATCH',
  'ERR_CHECKPOINT_BUSY',
  'ERR_PRIVACY_TARGET',
  'ERR_PRIVACY_BUDGET',
]);

/** The line for standard error, or null where the parser has printed it; and the exit code. */
export function explain(error: unknown): { line: string | null; exitCode: number } {
  if (error instanceof CommanderError) {
    // --help and --version end this way too.
    return { line: null, exitCode: error.exitCode === 0 ? EXIT.ok : EXIT.badInput };
  }
  if (error instanceof PhantomgradError) {
    return {
      line: `phantomgrad: [${error.code}] ${error.message}`,
      exitCode: BAD_INPUT.has(error.code) ? EXIT.badInput : EXIT.failure,
    };
  }
  const { code, message } = error as NodeJS.ErrnoException;
  // Not one of ours: a failure of the system (ENOSPC, EACCES …) says enough; anything else is a bug, and its place helps.
  const text = typeof code === 'string' ? `[${code}] ${message}` : (error as Error).stack;
  return { line: `phantomgrad: ${text ?? String(error)}`, exitCode: EXIT.failure };
}

/** An error of the parser in the form of all others. */
export function parserLine(text: string): string {
  return text.replace(/^error: /, 'phantomgrad: [ERR_INVALID_ARGUMENT] ');
}
