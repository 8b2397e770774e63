// How a process that holds tensors ends: each way in a child process, by its exit code.

import type { ChildProcess } from 'node:child_process';

import { runChild } from '../../fixtures/child';

const SCRIPT = 'tensor/ends.cjs';

function interruptWhenReady(child: ChildProcess, stdout: string): void {
  if (stdout.includes('ready')) child.kill('SIGINT');
}

test('a program that reaches its end exits with 0', async () => {
  expect(await runChild(SCRIPT, ['plain'])).toMatchObject({ code: 0, stderr: '' });
});

test('process.exit in the middle of work exits with the given code', async () => {
  expect(await runChild(SCRIPT, ['exit'])).toMatchObject({ code: 3, stderr: '' });
});

test('an uncaught error exits with 1 and shows itself', async () => {
  const ended = await runChild(SCRIPT, ['throw']);
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('uncaught on purpose');
});

test('SIGINT without a handler ends a loop that never yields', async () => {
  const ended = await runChild(SCRIPT, ['signal'], {
    onOutput: interruptWhenReady,
  });
  expect(ended).toMatchObject({ code: null, signal: 'SIGINT', stderr: '' });
});

test('SIGINT with a handler exits with the code of the handler', async () => {
  const ended = await runChild(SCRIPT, ['handledSignal'], {
    onOutput: interruptWhenReady,
  });
  expect(ended).toMatchObject({ code: 130, stderr: '' });
});

test('terminating a Worker in the middle of a backward pass leaves the main thread working', async () => {
  expect(await runChild(SCRIPT, ['terminatedWorker'])).toMatchObject({ code: 0, stdout: '3\n', stderr: '' });
});

test('Workers that reach their end exit with 0', async () => {
  expect(await runChild(SCRIPT, ['endedWorkers'])).toMatchObject({ code: 0, stdout: '0,0,0\n', stderr: '' });
});

test('process.exit beside a computing Worker exits with the given code', async () => {
  expect(await runChild(SCRIPT, ['exitBesideWorker'])).toMatchObject({ code: 4, stderr: '' });
});

test.each(['plain', 'terminatedWorker', 'endedWorkers'])('case %s holds with deferred finalizers too', async (name) => {
  const ended = await runChild(SCRIPT, [name], { env: { PHANTOMGRAD_FINALIZERS: 'deferred' } });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
});

test.each(['plain', 'terminatedWorker'])(
  'case %s survives a collector that moves everything all the time',
  async (name) => {
    const flags = ['--stress-compaction', '--max-semi-space-size=1'];
    expect(await runChild(SCRIPT, [name], { flags })).toMatchObject({ code: 0, stderr: '' });
  },
);
