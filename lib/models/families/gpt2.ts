// GPT-2 and DistilGPT-2: pre-norm blocks, learned positions, Conv1D layers, one table for words and head.

import { Dropout, Embedding, LayerNorm, Linear } from '../../nn';
import type { Tensor } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Block } from '../pretrained/block';
import { CausalLM } from '../pretrained/causal-lm';
import type { ConfigReader } from '../pretrained/config';
import { DoubleHeads } from '../pretrained/double-heads';
import type { Family, Making } from '../pretrained/family';
import { FeatureExtractor } from '../pretrained/feature-extractor';
import { FeedForward } from '../pretrained/layers';
import { problemOf, SequenceClassifier } from '../pretrained/sequence-classifier';
import { TextBackbone } from '../pretrained/text-backbone';
import type { TextScope } from '../pretrained/text-scope';
import { choiceHead, tiedHead } from './heads';

class Gpt2Backbone extends TextBackbone {
  readonly words: Embedding;
  readonly positions: Embedding;
  readonly inputDrop: Dropout;
  readonly blocks: readonly Block[];
  readonly norm: LayerNorm;
  readonly dim: number;
  readonly maxLength: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making) {
    super();
    for (const field of ['add_cross_attention', 'scale_attn_by_inverse_layer_idx', 'reorder_and_upcast_attn'])
      config.only(field, false);
    const dim = config.integer('n_embd', 768);
    const heads = config.integer('n_head', 12);
    if (dim % heads !== 0) config.refuse(`n_head = ${heads} does not divide n_embd = ${dim}`);
    const inner = config.optionalInteger('n_inner') ?? 4 * dim;
    const layers = config.integer('n_layer', 12);
    const std = config.number('initializer_range', 0.02);
    const eps = config.number('layer_norm_epsilon', 1e-5);
    const activation = activationOf(config, 'activation_function', 'gelu_new');
    const shape = { ...making, std, transposed: true };
    const norm = (): LayerNorm => new LayerNorm(dim, { eps, dtype: making.dtype });
    this.words = new Embedding(config.integer('vocab_size', 50_257), dim, { ...making, std });
    this.maxLength = config.integer('n_positions', 1024);
    this.positions = new Embedding(this.maxLength, dim, { ...making, std });
    this.inputDrop = new Dropout(config.probability('embd_pdrop', 0.1), making);
    const attention = {
      ...shape,
      dim,
      heads,
      causal: true,
      fused: true,
      dropout: config.probability('attn_pdrop', 0.1),
      ...(config.boolean('scale_attn_weights', true) ? {} : { scale: 1 }),
    };
    this.blocks = Array.from(
      { length: layers },
      () =>
        new Block({
          ...making,
          attention,
          feedForward: new FeedForward(dim, inner, activation, shape),
          norm,
          placement: 'pre',
          dropout: config.probability('resid_pdrop', 0.1),
        }),
    );
    this.norm = norm();
    this.dim = dim;
    this.activationsPerRow = layers * (10 * dim + 3 * inner);
  }

  /** Token types are words: their rows of the same table are added. */
  override get tokenTypes(): number {
    return this.vocabulary;
  }

  forward(scope: TextScope): Tensor {
    const placed = this.words.forward(scope.ids).add(this.positions.forward(scope.positions));
    const embedded = scope.tokenTypeIds === null ? placed : placed.add(this.words.forward(scope.tokenTypeIds));
    return this.norm.forward(
      this.blocks.reduce((x, block) => block.forward(x, scope), this.inputDrop.forward(embedded)),
    );
  }
}

export const gpt2: Family = {
  modelType: 'gpt2',
  prefix: 'transformer.',
  names: [
    ['backbone.words', 'wte'],
    ['backbone.positions', 'wpe'],
    ['backbone.blocks.{}.attentionNorm', 'h.{}.ln_1'],
    ['backbone.blocks.{}.attention.qkv', 'h.{}.attn.c_attn'],
    ['backbone.blocks.{}.attention.out', 'h.{}.attn.c_proj'],
    ['backbone.blocks.{}.feedForwardNorm', 'h.{}.ln_2'],
    ['backbone.blocks.{}.feedForward.in', 'h.{}.mlp.c_fc'],
    ['backbone.blocks.{}.feedForward.out', 'h.{}.mlp.c_proj'],
    ['backbone.norm', 'ln_f'],
  ],
  buffers: [/^h\.\d+\.attn\.(bias|masked_bias)$/],
  tasks: {
    features: {
      architecture: 'GPT2Model',
      names: [],
      build: (config, making) => new FeatureExtractor(new Gpt2Backbone(config, making)),
    },
    'causal-lm': {
      architecture: 'GPT2LMHeadModel',
      names: [['head', 'lm_head']],
      duplicates: [['lm_head.weight', 'transformer.wte.weight']],
      build: (config, making) => {
        const backbone = new Gpt2Backbone(config, making);
        return new CausalLM(backbone, tiedHead(config, making, backbone));
      },
    },
    'double-heads': {
      architecture: 'GPT2DoubleHeadsModel',
      names: [
        ['head', 'lm_head'],
        ['choiceHead', 'multiple_choice_head.summary'],
      ],
      duplicates: [['lm_head.weight', 'transformer.wte.weight']],
      build: (config, making) => {
        const backbone = new Gpt2Backbone(config, making);
        return new DoubleHeads(backbone, tiedHead(config, making, backbone), choiceHead(config, making, backbone.dim));
      },
    },
    'sequence-classification': {
      architecture: 'GPT2ForSequenceClassification',
      names: [['head', 'score']],
      build: (config, making) => {
        const head = new Linear(config.integer('n_embd', 768), config.labels, { ...making, bias: false, std: 0.02 });
        return new SequenceClassifier(new Gpt2Backbone(config, making), head, 'last', problemOf(config));
      },
    },
  },
};
