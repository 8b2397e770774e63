// A backbone whose first layer adds words, positions and token types, as encoders have it: what that layer knows of texts, it knows.

import { TextBackbone } from './text-backbone';
import type { TextEmbeddings } from './text-embeddings';

export abstract class EmbeddedBackbone extends TextBackbone {
  abstract readonly embeddings: TextEmbeddings;

  get words(): TextEmbeddings['words'] {
    return this.embeddings.words;
  }

  get maxLength(): number {
    return this.embeddings.maxLength;
  }

  override get tokenTypes(): number {
    return this.embeddings.types?.weight.shape[0] ?? 0;
  }
}
