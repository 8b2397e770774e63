// OpenAI GPT, the first of its line: post-norm blocks, learned positions, Conv1D layers, no last normalisation.

import { Dropout, Embedding, LayerNorm, Linear } from '../../nn';
import type { Tensor } from '../../tensor';
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

/** The configuration's «gelu» has always been the approximation by tanh in this model. */
const ACTIVATIONS = { gelu: 'gelu_new', relu: 'relu', silu: 'silu', swish: 'silu' } as const;

class OpenAIGptBackbone extends TextBackbone {
  readonly words: Embedding;
  readonly positions: Embedding;
  readonly inputDrop: Dropout;
  readonly blocks: readonly Block[];
  readonly dim: number;
  readonly maxLength: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making) {
    super();
    const dim = config.integer('n_embd', 768);
    const heads = config.integer('n_head', 12);
    if (dim % heads !== 0) config.refuse(`n_head = ${heads} does not divide n_embd = ${dim}`);
    const layers = config.integer('n_layer', 12);
    const std = config.number('initializer_range', 0.02);
    const eps = config.number('layer_norm_epsilon', 1e-5);
    const activation = ACTIVATIONS[config.oneOf('afn', ['gelu', 'relu', 'silu', 'swish'], 'gelu')];
    const shape = { ...making, std, transposed: true };
    this.words = new Embedding(config.integer('vocab_size', 40_478), dim, { ...making, std });
    this.maxLength = config.integer('n_positions', 512);
    this.positions = new Embedding(this.maxLength, dim, { ...making, std });
    this.inputDrop = new Dropout(config.probability('embd_pdrop', 0.1), making);
    const dropout = config.probability('attn_pdrop', 0.1);
    this.blocks = Array.from(
      { length: layers },
      () =>
        new Block({
          ...making,
          attention: { ...shape, dim, heads, causal: true, fused: true, dropout },
          feedForward: new FeedForward(dim, 4 * dim, activation, shape),
          norm: () => new LayerNorm(dim, { eps, dtype: making.dtype }),
          placement: 'post',
          dropout: config.probability('resid_pdrop', 0.1),
        }),
    );
    this.dim = dim;
    this.activationsPerRow = layers * 22 * dim;
  }

  /** Token types are words: their rows of the same table are added. */
  override get tokenTypes(): number {
    return this.vocabulary;
  }

  forward(scope: TextScope): Tensor {
    const placed = this.words.forward(scope.ids).add(this.positions.forward(scope.positions));
    const embedded = scope.tokenTypeIds === null ? placed : placed.add(this.words.forward(scope.tokenTypeIds));
    return this.blocks.reduce((x, block) => block.forward(x, scope), this.inputDrop.forward(embedded));
  }
}

const TIED = [['lm_head.weight', 'transformer.tokens_embed.weight']] as const;

export const openaiGpt: Family = {
  modelType: 'openai-gpt',
  prefix: 'transformer.',
  names: [
    ['backbone.words', 'tokens_embed'],
    ['backbone.positions', 'positions_embed'],
    ['backbone.blocks.{}.attention.qkv', 'h.{}.attn.c_attn'],
    ['backbone.blocks.{}.attention.out', 'h.{}.attn.c_proj'],
    ['backbone.blocks.{}.attentionNorm', 'h.{}.ln_1'],
    ['backbone.blocks.{}.feedForward.in', 'h.{}.mlp.c_fc'],
    ['backbone.blocks.{}.feedForward.out', 'h.{}.mlp.c_proj'],
    ['backbone.blocks.{}.feedForwardNorm', 'h.{}.ln_2'],
  ],
  buffers: [/^h\.\d+\.attn\.bias$/, /^position_ids$/],
  tasks: {
    features: {
      architecture: 'OpenAIGPTModel',
      names: [],
      build: (config, making) => new FeatureExtractor(new OpenAIGptBackbone(config, making)),
    },
    'causal-lm': {
      architecture: 'OpenAIGPTLMHeadModel',
      names: [['head', 'lm_head']],
      duplicates: TIED,
      build: (config, making) => {
        const backbone = new OpenAIGptBackbone(config, making);
        return new CausalLM(backbone, tiedHead(config, making, backbone));
      },
    },
    'double-heads': {
      architecture: 'OpenAIGPTDoubleHeadsModel',
      names: [
        ['head', 'lm_head'],
        ['choiceHead', 'multiple_choice_head.summary'],
      ],
      duplicates: TIED,
      build: (config, making) => {
        const backbone = new OpenAIGptBackbone(config, making);
        return new DoubleHeads(backbone, tiedHead(config, making, backbone), choiceHead(config, making, backbone.dim));
      },
    },
    'sequence-classification': {
      architecture: 'OpenAIGPTForSequenceClassification',
      names: [['head', 'score']],
      build: (config, making) => {
        const backbone = new OpenAIGptBackbone(config, making);
        const head = new Linear(backbone.dim, config.labels, { ...making, bias: false, std: 0.02 });
        return new SequenceClassifier(backbone, head, 'last', problemOf(config));
      },
    },
  },
};
