// What a run tells its caller while it works: facts about data and plan, steps, evaluations.

import type { Accuracy } from '../ranking';

/** Which of the two models is trained. */
export type Role = 'private' | 'plain';

export type RunEvent =
  | { readonly kind: 'warning'; readonly message: string }
  | {
      readonly kind: 'data';
      readonly users: number;
      readonly items: number;
      readonly actions: number;
      readonly made: boolean;
    }
  | {
      readonly kind: 'plan';
      readonly steps: number;
      readonly epochs: number;
      readonly batchSize: number;
      /** What a record is. Default `users`. */
      readonly unit?: string;
      readonly parameters: number;
      readonly learningRate: number;
      readonly privacy: {
        readonly noiseMultiplier: number;
        readonly epsilon: number;
        readonly delta: number;
        /** Of the whole run, at best: below 1 the noise outweighs any signal. */
        readonly signalToNoise: number;
      };
    }
  | {
      readonly kind: 'records';
      /** What a record is, in the plural. */
      readonly unit: string;
      readonly train: number;
      readonly heldOut: number;
    }
  | { readonly kind: 'resumed'; readonly step: number; readonly steps: number; readonly lostSteps: number }
  | StepEvent
  | AccuracyEvent
  | { readonly kind: 'evaluation'; readonly name: string; readonly done: number; readonly users: number }
  | {
      readonly kind: 'measuring';
      /** As in «Writing about tables». */
      readonly what: string;
      readonly done: number;
      readonly of: number;
    }
  | { readonly kind: 'saved'; readonly folder: string };

/** After each logical step. `loss`, `samples` and `skipped` are computed from private data without noise: not covered by ε. */
export interface StepEvent {
  readonly kind: 'step';
  readonly role: Role;
  /** From 1. */
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly learningRate: number;
  /** Mean over the records of the step; NaN when none was drawn. */
  readonly loss: number;
  readonly samples: number;
  /** Samples whose loss or gradient was not finite: they contributed nothing. */
  readonly skipped: number;
  /** Since the first step began. */
  readonly seconds: number;
}

/** In the middle of training, where that was asked for. Computed from private data without noise: not covered by ε. */
export interface AccuracyEvent {
  readonly kind: 'accuracy';
  readonly role: Role;
  readonly step: number;
  readonly epoch: number;
  /** HIT@10 and NDCG@10 over all held-out items. */
  readonly excludingSeen: Accuracy;
  readonly includingSeen: Accuracy;
}

export type OnEvent = (event: RunEvent) => void;
