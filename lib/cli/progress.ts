// Progress of a run on standard error: one rewritten line on a terminal, a plain line every few seconds elsewhere.

import type { RunEvent, StepEvent } from '../tasks/recommender';

const LINE_EVERY_MS = 5_000;
const REDRAW_EVERY_MS = 100;

const whole = new Intl.NumberFormat('en-US');
const count = (value: number): string => whole.format(value);

/** Turns the events of a run into lines. */
export class ProgressPrinter {
  #lastPrinted = 0;
  #lineOpen = false;
  readonly #first = new Map<string, Pick<StepEvent, 'role' | 'step' | 'seconds'>>(); // that was seen of each run's model

  constructor(private readonly stream: NodeJS.WriteStream = process.stderr) {}

  /** @param run  Its title, where several are under way. */
  readonly show = (event: RunEvent, run = ''): void => {
    const whose = run === '' ? '' : `${run}: `;
    if (event.kind === 'step') {
      // The first step also checks that samples do not mix: it says nothing about the time of the others.
      if (this.#first.get(run)?.role !== event.role) this.#first.set(run, event);
      const first = this.#first.get(run) as StepEvent;
      const { step } = first;
      this.#passing(
        whose + stepLine(event, first),
        event.step === step || event.step === event.steps,
        event.step === step && step < event.steps,
      );
    } else if (event.kind === 'evaluation') {
      this.#passing(
        `${whose}Ranking all items, ${event.name}: ${count(event.done)} of ${count(event.users)} users`,
        event.done === event.users,
      );
    } else if (event.kind === 'measuring') {
      this.#passing(`${whose}${event.what}: ${count(event.done)} of ${count(event.of)}`, event.done === event.of);
    } else {
      this.note(whose + noteOf(event));
    }
  };

  /** A line that stays. */
  note(text: string): void {
    this.stream.write(`${this.#lineOpen ? '\n' : ''}${text}\n`);
    this.#lineOpen = false;
  }

  /** Ends a rewritten line. */
  end(): void {
    if (this.#lineOpen) this.stream.write('\n');
    this.#lineOpen = false;
  }

  /** @param opening  More lines of its kind follow at once. */
  #passing(text: string, always: boolean, opening = false): void {
    const now = Date.now();
    const due = now - this.#lastPrinted >= (this.stream.isTTY ? REDRAW_EVERY_MS : LINE_EVERY_MS);
    if (!due && !always) return;
    this.#lastPrinted = now;
    if (!this.stream.isTTY) {
      this.stream.write(`${text}\n`);
      return;
    }
    this.stream.write(`\r\x1b[K${text}`);
    this.#lineOpen = true;
    if (always && !opening) this.end();
  }
}

function noteOf(event: Exclude<RunEvent, StepEvent | { kind: 'evaluation' | 'measuring' }>): string {
  switch (event.kind) {
    case 'warning':
      return `Warning: ${event.message}`;
    case 'data': {
      const what = `${count(event.users)} users, ${count(event.items)} items, ${count(event.actions)} training actions`;
      return event.made ? `Made-up histories: ${what}` : `Data: ${what}`;
    }
    case 'records':
      return `Data: ${count(event.train)} ${event.unit} to train on, ${count(event.heldOut)} held out`;
    case 'plan': {
      const { noiseMultiplier, epsilon, delta, signalToNoise } = event.privacy;
      return (
        `Plan: ${event.steps} steps of ${count(event.batchSize)} expected ${event.unit ?? 'users'} (${event.epochs} ${event.epochs === 1 ? 'epoch' : 'epochs'}), ` +
        `${count(event.parameters)} parameters, noise multiplier ${noiseMultiplier.toFixed(4)} for epsilon ${epsilon} at delta ${small(delta)}, ` +
        `signal-to-noise ratio at most ${small(signalToNoise)}`
      );
    }
    case 'accuracy': {
      const { hit, ndcg } = event.excludingSeen;
      return `Epoch ${event.epoch.toFixed(1)}: HIT@10 ${hit.toFixed(4)}, NDCG@10 ${ndcg.toFixed(4)} (not private)`;
    }
    case 'resumed': {
      const lost = event.lostSteps === 0 ? '' : `; ${event.lostSteps} steps are lost and stay paid for`;
      return `Resumed after step ${event.step} of ${event.steps}${lost}`;
    }
    case 'saved':
      return `Saved: ${event.folder}`;
  }
}

function stepLine(
  { role, step, steps, epoch, learningRate, loss, seconds }: StepEvent,
  first: Pick<StepEvent, 'step' | 'seconds'>,
): string {
  const left = ((seconds - first.seconds) / (step - first.step)) * (steps - step);
  const what = role === 'private' ? '' : ' without privacy';
  const lossText = Number.isFinite(loss) ? loss.toFixed(3) : '-';
  const time = step === steps ? `, ${duration(seconds)}` : step > first.step ? `, ${duration(left)} left` : '';
  return (
    `Step ${step} of ${steps}${what}: epoch ${epoch.toFixed(1)}, loss ${lossText} (not private), ` +
    `rate ${learningRate.toPrecision(2)}${time}`
  );
}

/** Three digits: `1e-6`, `0.001`. */
export function small(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return rounded < 1e-3 ? rounded.toExponential() : String(rounded);
}

/** `8 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}
