// What encoders read first: words, positions and segments of texts, added and normalised.

import { Dropout, Embedding, LayerNorm, Module } from '../../nn';
import { type Tensor, torch } from '../../tensor';
import type { Making } from './family';
import type { TextScope } from './text-scope';

export interface TextEmbeddingsShape extends Making {
  readonly dim: number;
  readonly vocabulary: number;
  /** Rows of the position table. */
  readonly positions: number;
  /** Rows of the table of token types; 0: the model has none. */
  readonly types: number;
  /** The token whose row learns nothing from being read. */
  readonly paddingId?: number;
  /**
   * The first token has position paddingId + 1, later ones count up, and a padding token has the position paddingId, which learns
   * nothing. Default false: positions count from 0, whatever the tokens.
   */
  readonly positionsSkipPadding?: boolean;
  readonly dropout: number;
  readonly eps: number;
  readonly std: number;
}

export class TextEmbeddings extends Module {
  readonly words: Embedding;
  readonly positions: Embedding;
  readonly types: Embedding | null;
  readonly norm: LayerNorm;
  readonly drop: Dropout;
  /** Tokens of a text for which there are positions. */
  readonly maxLength: number;
  /** Where positions skip padding: the padding token. */
  readonly skipped: number | null;

  constructor(shape: TextEmbeddingsShape) {
    super();
    const { dim, vocabulary, paddingId, positions, types, init, dtype, std } = shape;
    const table = { init, dtype, std };
    const padding = paddingId === undefined ? {} : { paddingId };
    this.skipped = shape.positionsSkipPadding === true ? (paddingId ?? null) : null;
    this.words = new Embedding(vocabulary, dim, { ...table, ...padding });
    this.positions = new Embedding(positions, dim, { ...table, ...(this.skipped === null ? {} : padding) });
    this.types = types === 0 ? null : new Embedding(types, dim, table);
    this.norm = new LayerNorm(dim, { eps: shape.eps, dtype });
    this.drop = new Dropout(shape.dropout, { init });
    this.maxLength = this.skipped === null ? positions : positions - this.skipped - 1;
  }

  /** @returns `[N, dim]` @throws ERR_INVALID_ARGUMENT for a token type beyond the table */
  forward(scope: TextScope): Tensor {
    const words = this.words.forward(scope.ids);
    const placed = words.add(this.positions.forward(this.#positionsOf(scope)));
    const typed = this.types === null ? placed : placed.add(this.types.forward(typesOf(scope)));
    return this.drop.forward(this.norm.forward(typed));
  }

  #positionsOf({ ids, positions }: TextScope): Tensor {
    if (this.skipped === null) return positions;
    // Counts are running sums over all rows, less the sum before the text of the row.
    const counted = ids.ne(this.skipped).to('int64');
    const sums = counted.cumsum(0);
    const starts = torch.ops.aten.arange(ids.shape[0] as number, { dtype: 'int64', device: ids.device }).sub(positions);
    const before = sums.sub(counted).indexSelect(0, starts);
    return sums.sub(before).mul(counted).add(this.skipped);
  }
}

const typesOf = ({ tokenTypeIds, ids }: TextScope): Tensor => tokenTypeIds ?? ids.zerosLike();
