// Ctrl-C at every stage of a run: before there is a plan it ends the process, after that it is a request.

import { runChild } from '../../fixtures/child';

async function interrupted(stage: string, seen: string, signal: NodeJS.Signals) {
  let sent = false;
  return runChild('interruptible.cjs', [stage], {
    onOutput: (child, stdout) => {
      if (sent || !stdout.includes(seen)) return;
      sent = true;
      child.kill(signal);
    },
  });
}

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends a search for noise that never lets a handler run',
  async (signal) => {
    const ended = await interrupted('searching', 'searched', signal);
    expect(ended).toMatchObject({ code: null, signal, stderr: '' });
    expect(ended.stdout).not.toContain('interrupted');
  },
  60_000,
);

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  '%s asks a run with a plan to end, and exits %i',
  async (signal, code) => {
    const ended = await interrupted('training', 'plan', signal);
    expect(ended).toMatchObject({ code, signal: null, stderr: '', stdout: 'data\nplan\ninterrupted\n' });
  },
  60_000,
);
