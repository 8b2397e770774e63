// Where a job computes: a device that is not there is refused before anything is read, and a run may go on elsewhere.

import { existsSync, rmSync } from 'node:fs';

import { evaluateFineTuned, fineTune, write } from '../../../../lib/tasks';
import { cudaDeviceCount } from '../../../../lib/tensor/device';
import { config, path, SHORT, text } from './fixture';

jest.setTimeout(300_000);

const absent = `cuda:${cudaDeviceCount()}`;
const refused = (code: string): object => expect.objectContaining({ code }) as object;

test.each(['lm', 'classifier', 'table2text', 'images'] as const)(
  'train %s refuses a device that is not there before it looks for data, and writes nothing',
  async (task) => {
    const out = path('never');
    const on = (device: unknown): Promise<unknown> => fineTune(task, { data: 'nowhere', device } as never, { out });
    await expect(on(absent)).rejects.toEqual(refused('ERR_DEVICE'));
    await expect(on('gpu')).rejects.toEqual(refused('ERR_INVALID_ARGUMENT'));
    await expect(on('cpu')).rejects.toEqual(refused('ERR_DATA_FORMAT'));
    expect(existsSync(out)).toBe(false);
  },
);

test('evaluating and writing refuse a device that is not there before they look for the model', async () => {
  await expect(evaluateFineTuned('nowhere', 'nothing', undefined, { device: absent })).rejects.toEqual(
    refused('ERR_DEVICE'),
  );
  await expect(write('nowhere', ['a'], { device: absent })).rejects.toEqual(refused('ERR_DEVICE'));
});

test('a device is where a run computes and not what it is: it goes on where it is told, measures and writes there', async () => {
  const out = path('moved');
  const options = { ...SHORT, data: text(), config: config('gpt2'), block: 32, device: 'cpu' } as const;
  const controller = new AbortController();
  await fineTune('lm', options, {
    out,
    signal: controller.signal,
    onEvent: ({ kind }) => kind === 'step' && controller.abort(),
  });
  const elsewhere = fineTune('lm', { device: absent } as never, { out, resume: true });
  await expect(elsewhere).rejects.toEqual(refused('ERR_DEVICE'));
  const ended = await fineTune('lm', { device: 'cpu' } as never, { out, resume: true });
  expect(ended).toMatchObject({ interrupted: false, privacy: { lostSteps: 0 } });
  const [row] = (await evaluateFineTuned(out, options.data, undefined, { device: 'cpu' })).rows;
  expect(row?.metrics.perplexity).toBeGreaterThan(1);
  const [written] = await write(out, ['To be'], { maxNewTokens: 2, device: 'cpu' });
  expect(written).toEqual({ prompt: 'To be', text: expect.any(String) });
  rmSync(out, { recursive: true });
});
