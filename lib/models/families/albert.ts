// ALBERT: BERT with narrow words, and few layers that are used many times over.

import { Dropout, LayerNorm, withSegments } from '../../nn';
import type { Tensor } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Block, type BlockShape } from '../pretrained/block';
import type { ConfigReader } from '../pretrained/config';
import { EmbeddedBackbone } from '../pretrained/embedded-backbone';
import type { Family, Making } from '../pretrained/family';
import { FeatureExtractor } from '../pretrained/feature-extractor';
import { FeedForward, linearLayer, type LinearLayer } from '../pretrained/layers';
import { MaskedLM } from '../pretrained/masked-lm';
import { problemOf, SequenceClassifier } from '../pretrained/sequence-classifier';
import { TextEmbeddings } from '../pretrained/text-embeddings';
import type { TextScope } from '../pretrained/text-scope';
import { TokenHead } from '../pretrained/token-head';
import { headsOf, plainEncoder, PooledHead } from './encoder-heads';
import { paddingOf } from './heads';

/** Drops outputs of attention, but not those of the feed-forward network. */
class AlbertBlock extends Block {
  override readonly feedForwardDrop: Dropout;

  constructor(shape: BlockShape) {
    super(shape);
    this.feedForwardDrop = new Dropout(0, { init: shape.init });
  }
}

class AlbertBackbone extends EmbeddedBackbone {
  readonly embeddings: TextEmbeddings;
  /** From the width of the words to that of the layers. */
  readonly projectIn: LinearLayer;
  readonly groups: readonly (readonly Block[])[];
  readonly pooler: LinearLayer | null;
  /** How many times a group is used, all groups together. */
  readonly depth: number;
  readonly dim: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making, { pooled }: { readonly pooled: boolean }) {
    super();
    plainEncoder(config);
    const width = config.integer('embedding_size', 128);
    const dim = config.integer('hidden_size', 4096);
    const heads = headsOf(config, dim, 'num_attention_heads', 64);
    const inner = config.integer('intermediate_size', 16_384);
    const groups = config.integer('num_hidden_groups', 1);
    const each = config.integer('inner_group_num', 1);
    this.depth = config.integer('num_hidden_layers', 12);
    if (groups > this.depth)
      config.refuse(`num_hidden_groups = ${groups} is more than num_hidden_layers = ${this.depth}`);
    const std = config.number('initializer_range', 0.02);
    const eps = config.number('layer_norm_eps', 1e-12);
    const activation = activationOf(config, 'hidden_act', 'gelu_new');
    const dropout = config.probability('hidden_dropout_prob', 0);
    const ofWeights = config.probability('attention_probs_dropout_prob', 0);
    const shape = { ...making, std };
    this.embeddings = new TextEmbeddings({
      ...shape,
      ...paddingOf(config, 0),
      dim: width,
      vocabulary: config.integer('vocab_size', 30_000),
      positions: config.integer('max_position_embeddings', 512),
      types: config.integer('type_vocab_size', 2),
      dropout,
      eps,
    });
    this.projectIn = linearLayer(width, dim, shape);
    const block = (): Block =>
      new AlbertBlock({
        ...making,
        attention: { ...shape, dim, heads, causal: false, dropout: ofWeights },
        feedForward: new FeedForward(dim, inner, activation, shape),
        norm: () => new LayerNorm(dim, { eps, dtype: making.dtype }),
        placement: 'post',
        dropout,
      });
    this.groups = Array.from({ length: groups }, () => Array.from({ length: each }, block));
    this.pooler = pooled ? linearLayer(dim, dim, shape) : null;
    this.dim = dim;
    this.activationsPerRow = this.depth * each * (12 * dim + 3 * inner);
  }

  forward(scope: TextScope): Tensor {
    let x = this.projectIn.forward(this.embeddings.forward(scope));
    for (let k = 0; k < this.depth; k++) {
      const group = this.groups[Math.floor(k / (this.depth / this.groups.length))] as readonly Block[];
      // Each use of a layer drops something else, as if it were a layer of its own.
      using segments = scope.segments.atStep(scope.segments.step * this.depth + k);
      x = withSegments(segments, () => group.reduce((rows, block) => block.forward(rows, scope), x));
    }
    return x;
  }
}

export const albert: Family = {
  modelType: 'albert',
  prefix: 'albert.',
  names: [
    ['backbone.embeddings.words', 'embeddings.word_embeddings'],
    ['backbone.embeddings.positions', 'embeddings.position_embeddings'],
    ['backbone.embeddings.types', 'embeddings.token_type_embeddings'],
    ['backbone.embeddings.norm', 'embeddings.LayerNorm'],
    ['backbone.projectIn', 'encoder.embedding_hidden_mapping_in'],
    ...(
      [
        ['attention.query', 'attention.query'],
        ['attention.key', 'attention.key'],
        ['attention.value', 'attention.value'],
        ['attention.out', 'attention.dense'],
        ['attentionNorm', 'attention.LayerNorm'],
        ['feedForward.in', 'ffn'],
        ['feedForward.out', 'ffn_output'],
        ['feedForwardNorm', 'full_layer_layer_norm'],
      ] as const
    ).map(
      ([ours, theirs]) =>
        [`backbone.groups.{}.{}.${ours}`, `encoder.albert_layer_groups.{}.albert_layers.{}.${theirs}`] as const,
    ),
    ['backbone.pooler', 'pooler'],
  ],
  // The checkpoints of the authors also hold a head that says in which order two sentences stood.
  buffers: [/^embeddings\.position_ids$/, /^pooler\.\w+$/, /^sop_classifier\.classifier\.\w+$/],
  tasks: {
    features: {
      architecture: 'AlbertModel',
      names: [],
      build: (config, making) => new FeatureExtractor(new AlbertBackbone(config, making, { pooled: false })),
    },
    'masked-lm': {
      architecture: 'AlbertForMaskedLM',
      names: [
        ['head.dense', 'predictions.dense'],
        ['head.norm', 'predictions.LayerNorm'],
        ['head.bias', 'predictions.bias'],
      ],
      duplicates: [
        ['predictions.decoder.weight', 'albert.embeddings.word_embeddings.weight'],
        ['predictions.decoder.bias', 'predictions.bias'],
      ],
      build: (config, making) => {
        config.only('tie_word_embeddings', true);
        const backbone = new AlbertBackbone(config, making, { pooled: false });
        const head = new TokenHead(backbone, {
          ...making,
          activation: activationOf(config, 'hidden_act', 'gelu_new'),
          eps: config.number('layer_norm_eps', 1e-12),
          std: config.number('initializer_range', 0.02),
        });
        return new MaskedLM(backbone, head);
      },
    },
    'sequence-classification': {
      architecture: 'AlbertForSequenceClassification',
      names: [['head.out', 'classifier']],
      poolers: ['backbone.pooler'],
      build: (config, making) => {
        const backbone = new AlbertBackbone(config, making, { pooled: true });
        const head = new PooledHead({
          ...making,
          dense: backbone.pooler!,
          dim: backbone.dim,
          labels: config.labels,
          activation: 'tanh',
          before: 0,
          after: config.probability('classifier_dropout_prob', 0.1),
          std: config.number('initializer_range', 0.02),
        });
        return new SequenceClassifier(backbone, head, 'first', problemOf(config));
      },
    },
  },
};
