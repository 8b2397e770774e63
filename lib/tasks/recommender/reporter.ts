// Where the facts of a run go: to the caller as events, and to metrics.jsonl where there is a run folder.

import type { PrivacySpent } from '../../privacy';
import type { MetricsLine, MetricsLog } from '../../report/metrics-log';
import type { Row } from './compare';
import type { AccuracyEvent, OnEvent, StepEvent } from './events';

const NOTE =
  'Losses, samples and accuracies are computed from private data without noise. No epsilon covers them: do not publish this file.';

export class Reporter {
  #warned = false;

  /** @param log  null: events only. */
  constructor(
    private readonly log: MetricsLog | null,
    readonly tell: OnEvent,
  ) {
    log?.write({ event: 'run', started: new Date().toISOString(), note: NOTE });
  }

  readonly step = (event: StepEvent): void => {
    const { kind, loss, ...rest } = event;
    this.log?.write({ event: kind, ...rest, loss: Number.isFinite(loss) ? loss : null });
    this.tell(event);
    if (event.skipped === 0 || this.#warned) return;
    this.#warned = true;
    const message = `in step ${event.step} ${event.skipped} of ${event.samples} users had a loss or gradient that is not finite; such users contribute nothing.`;
    this.tell({ kind: 'warning', message });
  };

  readonly evaluated = ({ kind, excludingSeen, includingSeen, ...rest }: AccuracyEvent): void => {
    this.log?.write({ event: kind, ...rest, ...columns({ ...excludingSeen, includingSeen }) });
    this.tell({ kind, excludingSeen, includingSeen, ...rest });
  };

  /** A log that goes on: steps after this one that stand before this line were lost. */
  resumed(step: number, steps: number, lostSteps: number): void {
    this.log?.write({ event: 'resumed', step, lostSteps });
    this.tell({ kind: 'resumed', step, steps, lostSteps });
  }

  spent({ epsilon, delta, noiseMultiplier, steps, lostSteps, accountant }: PrivacySpent): void {
    this.log?.write({ event: 'privacy', epsilon, delta, noiseMultiplier, steps, lostSteps, accountant });
  }

  accuracy(rows: readonly Row[]): void {
    for (const row of rows) this.log?.write({ event: 'accuracy', scorer: row.name, ...columns(row) });
  }
}

function columns({ hit, ndcg, includingSeen }: Omit<Row, 'name'>): MetricsLine {
  return {
    hitAt10: hit,
    ndcgAt10: ndcg,
    hitAt10IncludingSeen: includingSeen.hit,
    ndcgAt10IncludingSeen: includingSeen.ndcg,
  };
}
