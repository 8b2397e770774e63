// OPT: pre-norm blocks (post-norm in the 350M model) with ReLU, positions that begin at 2, words perhaps narrower than the model.

import { Embedding, LayerNorm, Linear } from '../../nn';
import type { Tensor } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Block } from '../pretrained/block';
import { CausalLM } from '../pretrained/causal-lm';
import type { ConfigReader } from '../pretrained/config';
import type { Family, Making } from '../pretrained/family';
import { FeatureExtractor } from '../pretrained/feature-extractor';
import { FeedForward, type LinearLayer, linearLayer } from '../pretrained/layers';
import { problemOf, SequenceClassifier } from '../pretrained/sequence-classifier';
import { TextBackbone } from '../pretrained/text-backbone';
import type { TextScope } from '../pretrained/text-scope';
import { paddingOf, tiedHead } from './heads';

/** The first two rows of the position table were padding where OPT was trained, and are never read. */
const FIRST_POSITION = 2;

class OptBackbone extends TextBackbone {
  readonly words: Embedding;
  readonly positions: Embedding;
  /** Between the width of the words and that of the model, where they differ. */
  readonly projectIn: LinearLayer | null;
  readonly projectOut: LinearLayer | null;
  readonly blocks: readonly Block[];
  readonly norm: LayerNorm | null;
  readonly dim: number;
  readonly maxLength: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making) {
    super();
    config.only('layerdrop', 0);
    config.only('layer_norm_elementwise_affine', true);
    const hidden = config.integer('hidden_size', 768);
    const heads = config.integer('num_attention_heads', 12);
    if (hidden % heads !== 0) config.refuse(`num_attention_heads = ${heads} does not divide hidden_size = ${hidden}`);
    const layers = config.integer('num_hidden_layers', 12);
    const inner = config.integer('ffn_dim', 3072);
    const pre = config.boolean('do_layer_norm_before', true);
    const std = config.number('init_std', 0.02);
    const bias = config.boolean('enable_bias', true);
    const activation = activationOf(config, 'activation_function', 'relu');
    const shape = { ...making, std, bias };
    const norm = (): LayerNorm => new LayerNorm(hidden, { dtype: making.dtype });
    const dropout = config.probability('attention_dropout', 0);
    this.dim = config.optionalInteger('word_embed_proj_dim') ?? hidden;
    const vocabulary = config.integer('vocab_size', 50_272);
    this.words = new Embedding(vocabulary, this.dim, { ...making, std, ...paddingOf(config, 1) });
    this.maxLength = config.integer('max_position_embeddings', 2048);
    this.positions = new Embedding(this.maxLength + FIRST_POSITION, hidden, { ...making, std });
    const between = { ...making, std, bias: false };
    const same = this.dim === hidden;
    this.projectIn = same ? null : linearLayer(this.dim, hidden, between);
    this.projectOut = same ? null : linearLayer(hidden, this.dim, between);
    this.blocks = Array.from(
      { length: layers },
      () =>
        new Block({
          ...making,
          attention: { ...shape, dim: hidden, heads, causal: true, dropout },
          feedForward: new FeedForward(hidden, inner, activation, shape),
          norm,
          placement: pre ? 'pre' : 'post',
          dropout: config.probability('dropout', 0.1),
        }),
    );
    this.norm = pre && !config.boolean('_remove_final_layer_norm', false) ? norm() : null;
    this.activationsPerRow = layers * (12 * hidden + 3 * inner);
  }

  forward(scope: TextScope): Tensor {
    const words = this.words.forward(scope.ids);
    const wide = this.projectIn?.forward(words) ?? words;
    const embedded = wide.add(this.positions.forward(scope.positions.add(FIRST_POSITION)));
    const last = this.blocks.reduce((x, block) => block.forward(x, scope), embedded);
    const hidden = this.norm?.forward(last) ?? last;
    return this.projectOut?.forward(hidden) ?? hidden;
  }
}

export const opt: Family = {
  modelType: 'opt',
  prefix: 'model.',
  names: [
    ['backbone.words', 'decoder.embed_tokens'],
    ['backbone.positions', 'decoder.embed_positions'],
    ['backbone.projectIn', 'decoder.project_in'],
    ['backbone.projectOut', 'decoder.project_out'],
    ['backbone.blocks.{}.attention.query', 'decoder.layers.{}.self_attn.q_proj'],
    ['backbone.blocks.{}.attention.key', 'decoder.layers.{}.self_attn.k_proj'],
    ['backbone.blocks.{}.attention.value', 'decoder.layers.{}.self_attn.v_proj'],
    ['backbone.blocks.{}.attention.out', 'decoder.layers.{}.self_attn.out_proj'],
    ['backbone.blocks.{}.attentionNorm', 'decoder.layers.{}.self_attn_layer_norm'],
    ['backbone.blocks.{}.feedForward.in', 'decoder.layers.{}.fc1'],
    ['backbone.blocks.{}.feedForward.out', 'decoder.layers.{}.fc2'],
    ['backbone.blocks.{}.feedForwardNorm', 'decoder.layers.{}.final_layer_norm'],
    ['backbone.norm', 'decoder.final_layer_norm'],
  ],
  buffers: [],
  tasks: {
    features: {
      architecture: 'OPTModel',
      names: [],
      build: (config, making) => new FeatureExtractor(new OptBackbone(config, making)),
    },
    'causal-lm': {
      architecture: 'OPTForCausalLM',
      names: [['head', 'lm_head']],
      duplicates: [['lm_head.weight', 'model.decoder.embed_tokens.weight']],
      build: (config, making) => {
        const backbone = new OptBackbone(config, making);
        return new CausalLM(backbone, tiedHead(config, making, backbone));
      },
    },
    'sequence-classification': {
      architecture: 'OPTForSequenceClassification',
      names: [['head', 'score']],
      build: (config, making) => {
        const backbone = new OptBackbone(config, making);
        const head = new Linear(backbone.dim, config.labels, { ...making, bias: false, std: 0.02 });
        return new SequenceClassifier(backbone, head, 'last', problemOf(config));
      },
    },
  },
};
