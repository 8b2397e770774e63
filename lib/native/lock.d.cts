/**
 * Runs `action` while this process holds the lock file `path`, and waits for its turn.
 * A holder that died (or did not beat for a minute) loses the lock.
 */
export function withLock<T>(
  path: string,
  action: () => T | Promise<T>,
  options?: { onWait?: (pid: number) => void },
): Promise<T>;
