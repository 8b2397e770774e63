// What results.json of the language-model experiment holds.

import type { CellPrivacy } from '../recommender-cell';
import type { Head } from '../store';
import type { TextRow, TextSettings } from './settings';

export interface TextCell {
  readonly row: TextRow;
  readonly seed: number;
  /** Mean cross entropy over the held-out blocks, nats a character; not private. */
  readonly validationLoss: number;
  /** The same in bits. */
  readonly bitsPerCharacter: number;
  /** Null for the model without privacy. */
  readonly privacy: CellPrivacy | null;
  /** Drawn from the model; of a private one they are covered by its ε. */
  readonly samples: readonly string[];
  readonly losses: readonly (readonly [epoch: number, loss: number])[];
  readonly secondsPerEpoch: number;
  readonly finished: string;
}

export interface TextResults extends Head {
  readonly data: {
    readonly name: string;
    readonly characters: number;
    /** Distinct characters that may occur; public. */
    readonly alphabet: number;
    /** Training records: blocks of so many predictions. */
    readonly blocks: number;
    readonly blockLength: number;
    readonly validationBlocks: number;
  };
  readonly settings: TextSettings;
  /** Bits a character on the held-out blocks, from counts of the training text without privacy. */
  readonly yardsticks: { readonly single: number; readonly pair: number };
  readonly cells: readonly TextCell[];
}
