// `phantomgrad setup` and `phantomgrad doctor`, run as commands in this process.

import { type Command } from 'commander';
import { join } from 'node:path';

import { doctorCommand } from '../../../lib/cli/doctor';
import { setupCommand } from '../../../lib/cli/setup';
import { findLibtorch } from '../../../lib/native';
import { emptyEnvironment, fakeLibtorch, temporaryFolder } from '../native/places';

const before = { ...process.env };

afterEach(() => {
  process.env = { ...before };
  process.exitCode = undefined;
});

/** Runs a command in an otherwise empty environment and returns what it printed. */
async function run(command: Command, args: string[], env: Record<string, string | undefined>): Promise<string> {
  process.env = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
  const lines: string[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  try {
    await command.parseAsync(args, { from: 'user' });
  } finally {
    log.mockRestore();
  }
  return lines.join('\n');
}

test('setup --libtorch remembers the folder for later searches', async () => {
  const env = emptyEnvironment(temporaryFolder());
  const root = fakeLibtorch(join(temporaryFolder(), 'libtorch'));
  const said = JSON.parse(await run(setupCommand(), ['--libtorch', root, '--json'], env)) as { libtorch: string };
  expect(said.libtorch).toBe(root);
  expect(findLibtorch(env, [])).toMatchObject({ root, source: 'saved configuration' });
});

test('setup uses a LibTorch that is there', async () => {
  const LIBTORCH = fakeLibtorch(join(temporaryFolder(), 'libtorch'));
  const said = await run(setupCommand(), [], { ...emptyEnvironment(temporaryFolder()), LIBTORCH });
  expect(said).toContain(LIBTORCH);
});

test('doctor names what is missing, lists every place, and ends with code 1', async () => {
  const env = { ...emptyEnvironment(temporaryFolder()), LIBTORCH: '/nowhere' };
  const said = JSON.parse(await run(doctorCommand(), ['--json'], env)) as {
    ok: boolean;
    findings: { name: string; ok: boolean }[];
    trace: unknown[];
  };
  expect(said.ok).toBe(false);
  expect(said.findings.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['LibTorch']);
  expect(said.trace).toHaveLength(1);
  expect(process.exitCode).toBe(1);
});

test('doctor finds nothing wrong where LibTorch and the native files are there', async () => {
  const { root } = findLibtorch(before);
  const said = await run(doctorCommand(), [], { ...emptyEnvironment(temporaryFolder()), LIBTORCH: root });
  expect(said).not.toContain('MISSING');
  expect(said).toMatch(/load +opened in \d+ ms/);
  expect(process.exitCode).toBeUndefined();
});
