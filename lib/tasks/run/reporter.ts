// Where the facts of a run go: to the caller as events, and to metrics.jsonl where there is a run folder.

import type { PrivacySpent } from '../../privacy';
import type { MetricsLine, MetricsLog } from '../../report/metrics-log';
import type { OnEvent, StepEvent } from './events';

const NOTE =
  'Losses, samples and accuracies are computed from private data without noise. No epsilon covers them: do not publish this file.';

export class Reporter {
  readonly #started = new Date().toISOString();
  #begun = false;
  #warned = false;

  /** @param log  null: events only. @param unit  What the samples of a step are called. */
  constructor(
    private readonly log: MetricsLog | null,
    readonly tell: OnEvent,
    private readonly unit = 'users',
  ) {}

  // The first line says what the file is. It is written with the second: a run that is refused leaves the log as it was.
  #write(line: MetricsLine): void {
    if (!this.#begun) this.log?.write({ event: 'run', started: this.#started, note: NOTE });
    this.#begun = true;
    this.log?.write(line);
  }

  readonly step = (event: StepEvent): void => {
    const { kind, loss, ...rest } = event;
    this.#write({ event: kind, ...rest, loss: Number.isFinite(loss) ? loss : null });
    this.tell(event);
    if (event.skipped === 0 || this.#warned) return;
    this.#warned = true;
    const { step, skipped, samples } = event;
    const message = `in step ${step} ${skipped} of ${samples} ${this.unit} had a loss or gradient that is not finite; such ${this.unit} contribute nothing.`;
    this.tell({ kind: 'warning', message });
  };

  /** A log that goes on: steps after this one that stand before this line were lost. */
  resumed(step: number, steps: number, lostSteps: number): void {
    this.#write({ event: 'resumed', step, lostSteps });
    this.tell({ kind: 'resumed', step, steps, lostSteps });
  }

  spent({ epsilon, delta, noiseMultiplier, steps, lostSteps, accountant }: PrivacySpent): void {
    this.#write({ event: 'privacy', epsilon, delta, noiseMultiplier, steps, lostSteps, accountant });
  }

  /** What was measured on held-out data. */
  measured(line: MetricsLine & { readonly event: string }): void {
    this.#write(line);
  }
}
