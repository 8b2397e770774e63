// Ctrl-C and SIGTERM as a request: the task ends after the step at hand, saves, and the exit code tells.

import { EXIT } from './failure';

// Ctrl-C in a terminal reaches every process of the group, and a parent may pass it on: one press can arrive twice.
const SAME_PRESS_MS = 500;

/**
 * Runs `body` with a signal that aborts on SIGINT or SIGTERM. A second one ends the process at once.
 *
 * @returns What `body` returned, and the exit code that the signal asks for (null without one).
 */
export async function interruptible<T>(
  body: (signal: AbortSignal) => Promise<T>,
  onInterrupt: () => void,
): Promise<{ result: T; exitCode: number | null }> {
  const controller = new AbortController();
  let exitCode: number | null = null;
  let first = 0;
  const handler = (signal: NodeJS.Signals): void => {
    if (exitCode !== null) {
      if (Date.now() - first > SAME_PRESS_MS) process.exit(exitCode);
      return;
    }
    exitCode = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
    first = Date.now();
    onInterrupt();
    controller.abort();
  };
  process.on('SIGINT', handler).on('SIGTERM', handler);
  try {
    return { result: await body(controller.signal), exitCode };
  } finally {
    process.off('SIGINT', handler).off('SIGTERM', handler);
  }
}
