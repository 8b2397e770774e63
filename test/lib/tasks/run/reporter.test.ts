// What a run tells and logs of samples that are not finite.

import type { RunEvent, StepEvent } from '../../../../lib/tasks/recommender';
import { Reporter } from '../../../../lib/tasks/run/reporter';

test('samples that were skipped are counted in every step and warned about once', () => {
  const events: RunEvent[] = [];
  const reporter = new Reporter(null, (event) => events.push(event));
  const step = (number: number, skipped: number): StepEvent => ({
    ...{ kind: 'step', role: 'private', step: number, steps: 3, epoch: 1, learningRate: 1, loss: NaN },
    ...{ samples: 10, skipped, seconds: 1 },
  });
  for (const event of [step(1, 0), step(2, 3), step(3, 1)]) reporter.step(event);
  expect(events.map(({ kind }) => kind)).toEqual(['step', 'step', 'warning', 'step']);
  expect(events[2]).toMatchObject({ message: expect.stringContaining('in step 2 3 of 10') });
});
