// Llama and what is built like it: RMS normalisation, rotary positions, grouped-query attention, gated feed-forward networks.

import { Embedding, Linear, RMSNorm } from '../../nn';
import type { Tensor } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Block } from '../pretrained/block';
import { CausalLM } from '../pretrained/causal-lm';
import type { ConfigReader } from '../pretrained/config';
import type { Family, Making } from '../pretrained/family';
import { FeatureExtractor } from '../pretrained/feature-extractor';
import { GatedFeedForward } from '../pretrained/layers';
import { rotaryAngles, rotaryShape, type RotaryShape } from '../pretrained/rotary';
import { problemOf, SequenceClassifier } from '../pretrained/sequence-classifier';
import { TextBackbone } from '../pretrained/text-backbone';
import type { TextScope } from '../pretrained/text-scope';
import { paddingOf, tiedHead } from './heads';

class LlamaBackbone extends TextBackbone {
  readonly words: Embedding;
  readonly blocks: readonly Block[];
  readonly norm: RMSNorm;
  readonly rotary: RotaryShape;
  readonly dim: number;
  readonly maxLength: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making) {
    super();
    const dim = config.integer('hidden_size', 4096);
    const heads = config.integer('num_attention_heads', 32);
    const keyHeads = config.optionalInteger('num_key_value_heads') ?? heads;
    if (heads % keyHeads !== 0)
      config.refuse(`num_key_value_heads = ${keyHeads} does not divide num_attention_heads = ${heads}`);
    const headDim = config.optionalInteger('head_dim') ?? dim / heads;
    if (headDim % 2 !== 0) config.refuse(`heads must have an even width, got ${headDim}`);
    const inner = config.integer('intermediate_size', 11_008);
    const layers = config.integer('num_hidden_layers', 32);
    const std = config.number('initializer_range', 0.02);
    const eps = config.number('rms_norm_eps', 1e-6);
    const activation = activationOf(config, 'hidden_act', 'silu');
    const norm = (): RMSNorm => new RMSNorm(dim, { eps, dtype: making.dtype });
    const attention = {
      ...making,
      std,
      dim,
      heads,
      keyHeads,
      headDim,
      causal: true,
      bias: config.boolean('attention_bias', false),
      dropout: config.probability('attention_dropout', 0),
    };
    const feeding = { ...making, std, bias: config.boolean('mlp_bias', false) };
    const vocabulary = config.integer('vocab_size', 32_000);
    this.words = new Embedding(vocabulary, dim, { ...making, std, ...paddingOf(config, null) });
    this.blocks = Array.from(
      { length: layers },
      () =>
        new Block({
          ...making,
          attention,
          feedForward: new GatedFeedForward(dim, inner, activation, feeding),
          norm,
          placement: 'pre',
        }),
    );
    this.norm = norm();
    this.rotary = rotaryShape(config, headDim);
    this.dim = dim;
    this.maxLength = config.integer('max_position_embeddings', 2048);
    this.activationsPerRow = layers * (10 * dim + 8 * heads * headDim + 4 * inner);
  }

  forward(scope: TextScope): Tensor {
    const embedded = this.words.forward(scope.ids);
    const angles = rotaryAngles(scope.positions, this.rotary, embedded);
    return this.norm.forward(this.blocks.reduce((x, block) => block.forward(x, scope, angles), embedded));
  }
}

export const llama: Family = {
  modelType: 'llama',
  prefix: 'model.',
  names: [
    ['backbone.words', 'embed_tokens'],
    ['backbone.blocks.{}.attentionNorm', 'layers.{}.input_layernorm'],
    ['backbone.blocks.{}.attention.query', 'layers.{}.self_attn.q_proj'],
    ['backbone.blocks.{}.attention.key', 'layers.{}.self_attn.k_proj'],
    ['backbone.blocks.{}.attention.value', 'layers.{}.self_attn.v_proj'],
    ['backbone.blocks.{}.attention.out', 'layers.{}.self_attn.o_proj'],
    ['backbone.blocks.{}.feedForwardNorm', 'layers.{}.post_attention_layernorm'],
    ['backbone.blocks.{}.feedForward.gate', 'layers.{}.mlp.gate_proj'],
    ['backbone.blocks.{}.feedForward.up', 'layers.{}.mlp.up_proj'],
    ['backbone.blocks.{}.feedForward.down', 'layers.{}.mlp.down_proj'],
    ['backbone.norm', 'norm'],
  ],
  buffers: [/^(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/],
  tasks: {
    features: {
      architecture: 'LlamaModel',
      names: [],
      build: (config, making) => new FeatureExtractor(new LlamaBackbone(config, making)),
    },
    'causal-lm': {
      architecture: 'LlamaForCausalLM',
      names: [['head', 'lm_head']],
      duplicates: [['lm_head.weight', 'model.embed_tokens.weight']],
      build: (config, making) => {
        const backbone = new LlamaBackbone(config, making);
        return new CausalLM(backbone, tiedHead(config, making, backbone, false));
      },
    },
    'sequence-classification': {
      architecture: 'LlamaForSequenceClassification',
      names: [['head', 'score']],
      build: (config, making) => {
        const backbone = new LlamaBackbone(config, making);
        const head = new Linear(backbone.dim, config.labels, { ...making, bias: false, std: 0.02 });
        return new SequenceClassifier(backbone, head, 'last', problemOf(config));
      },
    },
  },
};
