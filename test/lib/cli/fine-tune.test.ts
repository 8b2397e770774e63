// The commands for Hugging Face models as processes: train, Ctrl-C, resume, evaluate, generate.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { home, lastJson, phantomgrad } from './command';

jest.setTimeout(300_000); // processes of their own, on a machine that may be busy

writeFileSync(join(home, 'input.txt'), 'To be, or not to be, that is the question.\n'.repeat(100));
const config = { model_type: 'gpt2', n_positions: 64, n_embd: 8, n_layer: 1, n_head: 1 };
writeFileSync(join(home, 'tiny.json'), JSON.stringify(config));
writeFileSync(join(home, 'options.json'), JSON.stringify({ block: 32, epochs: 3, batchSize: 30, delta: 1e-3 }));
const train = [
  'train',
  'lm',
  '--data',
  'input.txt',
  '--config',
  'tiny.json',
  '--config-file',
  'options.json',
  '--device',
  'cpu',
];

test('a run that Ctrl-C stopped goes on with --resume, then is evaluated and writes', async () => {
  let sent = false;
  const stopped = await phantomgrad([...train, '--out', 'model', '--json'], {
    onError: (child, stderr) => {
      if (sent || !stderr.includes('Step 1 of')) return;
      sent = true;
      child.kill('SIGINT');
    },
  });
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toContain('--resume model');
  expect(lastJson(stopped)).toMatchObject({ interrupted: true, task: 'lm' });

  const ended = await phantomgrad(['train', 'lm', '--resume', 'model', '--json']);
  expect(ended.code).toBe(0);
  const { perplexity, epsilon, ...rest } = lastJson(ended);
  expect(rest).toMatchObject({ task: 'lm', delta: 1e-3, lostSteps: 0, out: 'model' });
  expect(Object.keys(rest)).toEqual(expect.arrayContaining(['beforePerplexity', 'unigramPerplexity', 'peakRssMb']));
  expect(epsilon).toBeLessThanOrEqual(8);
  expect(perplexity).toBeGreaterThan(1);

  const evaluated = lastJson(
    await phantomgrad(['evaluate', 'model', '--data', 'input.txt', '--device', 'cpu', '--json']),
  );
  expect(evaluated).toEqual({ task: 'lm', perplexity: expect.any(Number) });

  const prompts = ['--prompt', 'To be', '--prompt', 'T', '--max-new-tokens', '3', '--device', 'cpu'];
  const { texts } = lastJson(await phantomgrad(['generate', 'model', ...prompts, '--json'])) as { texts: object[] };
  expect(texts).toEqual([
    { prompt: 'To be', text: expect.any(String) },
    { prompt: 'T', text: expect.any(String) },
  ]);
});

test('what cannot be run is one line with a code, and exit code 2', async () => {
  const missing = await phantomgrad(['train', 'images', '--data', 'nowhere', '--out', 'never']);
  expect(missing).toMatchObject({ code: 2, stdout: '' });
  expect(missing.stderr).toMatch(/^phantomgrad: \[ERR_DATA_FORMAT\] nowhere: there is no file or folder/);
  const device = await phantomgrad([...train, '--out', 'never', '--device', 'gpu']);
  expect(device).toMatchObject({ code: 2, stderr: expect.stringContaining('device must be cpu, cuda or cuda:N') });
  const unknown = await phantomgrad(['generate', 'no/model', '--prompt', 'a']);
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('[ERR_MODEL_NOT_FOUND]') });
});
