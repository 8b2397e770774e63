// The one training run of an audit: canaries are trained in, guessed afterwards, and the guesses bound epsilon from below.

import { sgd } from '../../optim';
import { tidy } from '../../tensor';
import type { PhysicalBatch } from '../batch-stream';
import type { PrivacyEngine, PrivacySpent } from '../privacy-engine';
import { CanaryData, CanaryModel, coins } from './canaries';
import { digits, type Finding } from './finding';
import { Inclusion } from './inclusion';
import { epsilonLowerBound, guessCount, type Guesses } from './one-run';
import { FlatParameters } from './parameters';
import { length } from './reference';
import type { AuditedMechanism, AuditSubject, MakeEngine } from './subject';

/** How much the weights move: clipped means have norm at most 1 in units of C. It changes what is learned, not what is released. */
const RATE = 0.05;

export interface AuditRun {
  readonly spent: PrivacySpent;
  readonly guesses: Guesses;
  readonly lowerBound: number;
  readonly findings: readonly Finding[];
}

/**
 * Trains as planned, with canaries that take part or not by the toss of a coin, and guesses which did: those with the largest score are
 * «in», those with the smallest «out». How many are guessed is fixed by public constants before.
 *
 * @param stepped  Called after every logical step.
 */
export function auditRun<B extends PhysicalBatch>(
  subject: AuditSubject<B>,
  mechanism: AuditedMechanism,
  { canaries, confidence }: { readonly canaries: number; readonly confidence: number },
  make: MakeEngine,
  stepped: (step: number) => void,
): AuditRun {
  const { noiseMultiplier, clip, sampler, steps, delta } = mechanism;
  const records = subject.data.length + canaries;
  const rate = sampler.batchSize / records;
  const partakes = coins(canaries);
  const inner = subject.model();
  const model = new CanaryModel(inner, partakes, clip.maxGradNorm);
  const engine = make(model, { records, steps, noiseMultiplier, delta, sampler, clip });
  try {
    const inclusion = new Inclusion(records);
    const data = new CanaryData(subject.data, canaries, (ids) => inclusion.note(ids));
    const optimizer = engine.attach(sgd(model.trainableParameters(), { lr: RATE / clip.maxGradNorm }));
    const parameters = new FlatParameters(model);
    const start = parameters.read();
    for (const batch of engine.batches(data)) {
      tidy(() => optimizer.step({ loss: model.loss(batch) }));
      if (batch.completesStep) stepped(engine.steps);
    }
    const law = {
      gap: steps * rate,
      sdWithout: noiseMultiplier * Math.sqrt(steps),
      sdWith: Math.sqrt(steps * (noiseMultiplier ** 2 + rate * (1 - rate))),
    };
    const guesses = guess(model.scores(), partakes, guessCount(canaries, law, delta));
    const spent = engine.privacySpent();
    const lowerBound = epsilonLowerBound(guesses, delta, confidence);
    return {
      spent,
      guesses,
      lowerBound,
      findings: [
        ...inclusion.findings(rate),
        moved(parameters, start),
        charged(engine, steps),
        bounded(lowerBound, spent.epsilon, guesses, confidence),
      ],
    };
  } finally {
    engine.close();
    model.dispose();
  }
}

function guess(scores: Float64Array, partakes: readonly boolean[], guesses: number): Guesses {
  const order = Array.from(scores, (_, canary) => canary).sort((a, b) => (scores[b] as number) - (scores[a] as number));
  const half = guesses / 2;
  const right =
    order.slice(0, half).filter((canary) => partakes[canary]).length +
    order.slice(-half).filter((canary) => partakes[canary] === false).length;
  return { canaries: scores.length, guesses, correct: right };
}

function moved(parameters: FlatParameters, start: Float64Array): Finding {
  const end = parameters.read();
  const still = parameters.places.filter(
    ({ from, to }) => !(length(end.slice(from, to).map((value, i) => value - (start[from + i] as number))) > 0),
  );
  const [first] = still;
  return {
    claim: 'parametersMove',
    holds: first === undefined,
    detail:
      first === undefined
        ? `all ${parameters.places.length} parameters moved`
        : `${still.length} of ${parameters.places.length} parameters did not move, ${first.name} among them`,
  };
}

function charged({ ledger, plan, steps }: PrivacyEngine, planned: number): Finding {
  const paid = plan.event === null ? 0 : ledger.charged(plan.event);
  const holds = steps === planned && paid === planned && ledger.unprotected === 0;
  return {
    claim: 'everyStepCharged',
    holds,
    detail: `${steps} of ${planned} steps were taken and ${paid} charged, ${ledger.unprotected} released without noise`,
  };
}

function bounded(lowerBound: number, claimed: number, guesses: Guesses, confidence: number): Finding {
  const { correct, guesses: made } = guesses;
  const seen = `${correct} of ${made} guesses were right: epsilon is at least ${digits(lowerBound)} (confidence ${confidence})`;
  const holds = lowerBound <= claimed;
  return {
    claim: 'epsilon',
    holds,
    detail: holds
      ? `${seen}, claimed ${digits(claimed)}`
      : `${seen}, which is more than the claimed ${digits(claimed)}`,
  };
}
