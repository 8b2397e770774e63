// Heads that several families share.

import { Dropout, Linear, SoftmaxHead } from '../../nn';
import type { ConfigReader } from '../pretrained/config';
import type { Making } from '../pretrained/family';
import type { LinearLayer } from '../pretrained/layers';
import type { TextBackbone } from '../pretrained/text-backbone';

/** Null where `tie_word_embeddings` makes the word table the head as well; else a table of its own. */
export function tiedHead(
  config: ConfigReader,
  making: Making,
  { dim, vocabulary }: TextBackbone,
  tied = true,
): SoftmaxHead | null {
  return config.boolean('tie_word_embeddings', tied) ? null : new SoftmaxHead(dim, vocabulary, making);
}

/** What Hugging Face calls a sequence summary, in the form that the double-headed models use: dropout, then one score. */
export function choiceHead(config: ConfigReader, making: Making, dim: number): LinearLayer {
  config.only('summary_type', 'cls_index');
  config.only('summary_use_proj', true);
  config.only('summary_proj_to_labels', true);
  config.only('summary_activation', null);
  config.only('summary_last_dropout', 0);
  return new ChoiceHead(dim, config.probability('summary_first_dropout', 0.1), making);
}

/** The token whose row of the word table learns nothing from being read, as the family's models in Python have it. */
export function paddingOf(config: ConfigReader, fallback: number | null): { paddingId?: number } {
  const given = config.raw.pad_token_id === undefined ? fallback : config.optionalInteger('pad_token_id');
  return given === null ? {} : { paddingId: given };
}

class ChoiceHead extends Linear {
  readonly drop: Dropout;

  constructor(dim: number, dropout: number, making: Making) {
    super(dim, 1, { ...making, std: 0.02 });
    this.drop = new Dropout(dropout, making);
  }

  override forward(x: Parameters<Linear['forward']>[0]): ReturnType<Linear['forward']> {
    return super.forward(this.drop.forward(x));
  }
}
