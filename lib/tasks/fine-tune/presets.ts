// Small models that are trained from scratch in minutes on a few cores, by name.

import type { Json } from '../../models/pretrained/config';

/**
 * Configurations without what the data decide: size of the vocabulary, special tokens, classes, size of the images. Few parameters on
 * purpose: under a given ε the noise grows with their number, and small models of this kind were seen to learn where larger ones did not.
 * Nothing is dropped: noise regularises enough. Initial weights are of the size 1 / √width: the usual 0.02 is for widths near 768, and
 * in a narrow model it leaves gradients that say little of the input; clipped and noised, such a classifier was seen to stay at chance.
 */
export const PRESETS = {
  'tiny-gpt2': {
    model_type: 'gpt2',
    n_positions: 256,
    n_embd: 64,
    n_layer: 2,
    n_head: 2,
    initializer_range: 0.125,
    resid_pdrop: 0,
    embd_pdrop: 0,
    attn_pdrop: 0,
  },
  'tiny-bert': {
    model_type: 'bert',
    hidden_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    intermediate_size: 16,
    initializer_range: 0.25,
    max_position_embeddings: 256,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
  },
  'tiny-vit': {
    model_type: 'vit',
    patch_size: 4,
    hidden_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 3,
    intermediate_size: 96,
    initializer_range: 0.144,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
  },
} as const satisfies Readonly<Record<string, Json>>;

export type Preset = keyof typeof PRESETS;

export function isPreset(name: string): name is Preset {
  return Object.hasOwn(PRESETS, name);
}
