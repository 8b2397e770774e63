// The process of one cell: told which, it runs that one as the experiment would, and says what it came to.

import { PhantomgradError } from '../../errors';
import { runExperiment } from './run';
import { type CellJob, type CellMessage, STOP } from './side-by-side';

function main(): void {
  const ending = new AbortController();
  // Ctrl-C reaches every process of the terminal; what it means is for the parent to say. Without a parent nobody waits for the cell.
  process.on('SIGINT', () => undefined);
  process.once('disconnect', () => ending.abort());
  const say = (message: CellMessage): void => {
    if (process.connected) process.send?.(message);
  };
  process.on('message', (message: CellJob | typeof STOP) => {
    if (message === STOP) ending.abort();
    else void run(message, ending.signal, say).finally(() => process.connected && process.disconnect());
  });
}

async function run(
  { experiment, control, key }: CellJob,
  signal: AbortSignal,
  say: (message: CellMessage) => void,
): Promise<void> {
  try {
    await runExperiment(experiment, {
      ...control,
      resume: true, // the parent has begun the results, and this process writes none
      signal,
      only: { key, done: (done) => say({ kind: 'done', done }) },
      onEvent: (event) => say({ kind: 'event', event }),
    });
  } catch (error) {
    const { message, stack } = error as Error;
    const known = error instanceof PhantomgradError;
    say({ kind: 'failed', code: known ? error.code : null, message: known ? message : (stack ?? message) });
  }
}

if (require.main === module) main();
