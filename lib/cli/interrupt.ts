// Ctrl-C and SIGTERM as a request, from the moment that there is something to save: the task ends after the step at hand.

import { EXIT } from './failure';

// Ctrl-C in a terminal reaches every process of the group, and a parent may pass it on: one press can arrive twice.
const SAME_PRESS_MS = 500;

/**
 * Runs `body` with a signal that aborts on SIGINT or SIGTERM once it has called `begun`. A second one ends the process at once, and so does
 * any one before: while data are read and noise is searched nothing has been written, and a search that lasts does not let handlers run.
 *
 * @returns What `body` returned, and the exit code that the signal asks for (null without one).
 */
export async function interruptible<T>(
  body: (signal: AbortSignal, begun: () => void) => Promise<T>,
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
  const begun = (): void => {
    process.off('SIGINT', handler).off('SIGTERM', handler).on('SIGINT', handler).on('SIGTERM', handler);
  };
  try {
    return { result: await body(controller.signal, begun), exitCode };
  } finally {
    process.off('SIGINT', handler).off('SIGTERM', handler);
  }
}

/** Listens to a run: its plan is the first thing that it says when everything has been accepted, before it writes anything. */
export function onPlan<E extends { readonly kind: string }>(
  begun: () => void,
  show: (event: E) => void,
): (event: E) => void {
  return (event) => {
    if (event.kind === 'plan') begun();
    show(event);
  };
}
