// BERT: post-norm blocks that look both ways, learned positions, token types, and a layer on the first row.

import { LayerNorm } from '../../nn';
import type { Tensor } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Block } from '../pretrained/block';
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
import { classifierDropout, headsOf, plainEncoder, PooledHead } from './encoder-heads';
import { paddingOf } from './heads';

export interface BertShape {
  /** Whether a layer for the first row follows the blocks. */
  readonly pooled: boolean;
  /** Padding token where the configuration names none. */
  readonly paddingId: number;
  /** See {@link TextEmbeddings}. */
  readonly positionsSkipPadding: boolean;
}

const BERT = { paddingId: 0, positionsSkipPadding: false };

export class BertBackbone extends EmbeddedBackbone {
  readonly embeddings: TextEmbeddings;
  readonly blocks: readonly Block[];
  readonly pooler: LinearLayer | null;
  readonly dim: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making, { pooled, paddingId, positionsSkipPadding }: BertShape) {
    super();
    plainEncoder(config);
    const dim = config.integer('hidden_size', 768);
    const heads = headsOf(config, dim, 'num_attention_heads', 12);
    const layers = config.integer('num_hidden_layers', 12);
    const inner = config.integer('intermediate_size', 3072);
    const std = config.number('initializer_range', 0.02);
    const eps = config.number('layer_norm_eps', 1e-12);
    const activation = activationOf(config, 'hidden_act', 'gelu');
    const dropout = config.probability('hidden_dropout_prob', 0.1);
    const ofWeights = config.probability('attention_probs_dropout_prob', 0.1);
    const shape = { ...making, std };
    this.embeddings = new TextEmbeddings({
      ...shape,
      ...paddingOf(config, paddingId),
      dim,
      vocabulary: config.integer('vocab_size', 30_522),
      positions: config.integer('max_position_embeddings', 512),
      types: config.integer('type_vocab_size', 2),
      positionsSkipPadding,
      dropout,
      eps,
    });
    this.blocks = Array.from(
      { length: layers },
      () =>
        new Block({
          ...making,
          attention: { ...shape, dim, heads, causal: false, dropout: ofWeights },
          feedForward: new FeedForward(dim, inner, activation, shape),
          norm: () => new LayerNorm(dim, { eps, dtype: making.dtype }),
          placement: 'post',
          dropout,
        }),
    );
    this.pooler = pooled ? linearLayer(dim, dim, shape) : null;
    this.dim = dim;
    this.activationsPerRow = layers * (12 * dim + 3 * inner);
  }

  forward(scope: TextScope): Tensor {
    return this.blocks.reduce((x, block) => block.forward(x, scope), this.embeddings.forward(scope));
  }
}

/** The names of {@link BertBackbone}, which others have too. */
export const BERT_NAMES: Family['names'] = [
  ['backbone.embeddings.words', 'embeddings.word_embeddings'],
  ['backbone.embeddings.positions', 'embeddings.position_embeddings'],
  ['backbone.embeddings.types', 'embeddings.token_type_embeddings'],
  ['backbone.embeddings.norm', 'embeddings.LayerNorm'],
  ['backbone.blocks.{}.attention.query', 'encoder.layer.{}.attention.self.query'],
  ['backbone.blocks.{}.attention.key', 'encoder.layer.{}.attention.self.key'],
  ['backbone.blocks.{}.attention.value', 'encoder.layer.{}.attention.self.value'],
  ['backbone.blocks.{}.attention.out', 'encoder.layer.{}.attention.output.dense'],
  ['backbone.blocks.{}.attentionNorm', 'encoder.layer.{}.attention.output.LayerNorm'],
  ['backbone.blocks.{}.feedForward.in', 'encoder.layer.{}.intermediate.dense'],
  ['backbone.blocks.{}.feedForward.out', 'encoder.layer.{}.output.dense'],
  ['backbone.blocks.{}.feedForwardNorm', 'encoder.layer.{}.output.LayerNorm'],
  ['backbone.pooler', 'pooler.dense'],
];

/** The oldest checkpoints call scale and shift of a normalisation gamma and beta. */
export const presentNames = (name: string): string =>
  name.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias');

/** Position numbers, and the layer on the first row where the task has none. */
export const BERT_BUFFERS: Family['buffers'] = [/^embeddings\.(position_ids|token_type_ids)$/, /^pooler\.dense\.\w+$/];

/** The head of a masked language model on any backbone like BERT's. */
export function bertTokenHead(config: ConfigReader, making: Making, backbone: EmbeddedBackbone): TokenHead {
  config.only('tie_word_embeddings', true);
  return new TokenHead(backbone, {
    ...making,
    activation: activationOf(config, 'hidden_act', 'gelu'),
    eps: config.number('layer_norm_eps', 1e-12),
    std: config.number('initializer_range', 0.02),
  });
}

export const bert: Family = {
  modelType: 'bert',
  prefix: 'bert.',
  names: BERT_NAMES,
  // The checkpoints of the authors also hold a head that says whether one sentence follows another.
  buffers: [...BERT_BUFFERS, /^cls\.seq_relationship\.\w+$/],
  rename: presentNames,
  tasks: {
    features: {
      architecture: 'BertModel',
      names: [],
      build: (config, making) => new FeatureExtractor(new BertBackbone(config, making, { ...BERT, pooled: false })),
    },
    'masked-lm': {
      architecture: 'BertForMaskedLM',
      names: [
        ['head.dense', 'cls.predictions.transform.dense'],
        ['head.norm', 'cls.predictions.transform.LayerNorm'],
        ['head.bias', 'cls.predictions.bias'],
      ],
      duplicates: [
        ['cls.predictions.decoder.weight', 'bert.embeddings.word_embeddings.weight'],
        ['cls.predictions.decoder.bias', 'cls.predictions.bias'],
      ],
      build: (config, making) => {
        const backbone = new BertBackbone(config, making, { ...BERT, pooled: false });
        return new MaskedLM(backbone, bertTokenHead(config, making, backbone));
      },
    },
    'sequence-classification': {
      architecture: 'BertForSequenceClassification',
      names: [['head.out', 'classifier']],
      poolers: ['backbone.pooler'],
      build: (config, making) => {
        const backbone = new BertBackbone(config, making, { ...BERT, pooled: true });
        const head = new PooledHead({
          ...making,
          dense: backbone.pooler!,
          dim: backbone.dim,
          labels: config.labels,
          activation: 'tanh',
          before: 0,
          after: classifierDropout(config),
          std: config.number('initializer_range', 0.02),
        });
        return new SequenceClassifier(backbone, head, 'first', problemOf(config));
      },
    },
  },
};
