// DistilBERT: BERT without token types and without a layer on the first row; its heads bring their own.

import { Dropout, LayerNorm } from '../../nn';
import { noGrad, tensor, type Tensor, tidy } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Block, type BlockShape } from '../pretrained/block';
import type { ConfigReader } from '../pretrained/config';
import { EmbeddedBackbone } from '../pretrained/embedded-backbone';
import type { Family, Making } from '../pretrained/family';
import { FeatureExtractor } from '../pretrained/feature-extractor';
import { FeedForward, linearLayer } from '../pretrained/layers';
import { MaskedLM } from '../pretrained/masked-lm';
import { problemOf, SequenceClassifier } from '../pretrained/sequence-classifier';
import { TextEmbeddings } from '../pretrained/text-embeddings';
import type { TextScope } from '../pretrained/text-scope';
import { TokenHead } from '../pretrained/token-head';
import { headsOf, PooledHead } from './encoder-heads';
import { paddingOf } from './heads';

/** The configuration has no field for it. */
const EPS = 1e-12;

/** Drops outputs of the feed-forward network, but not those of attention. */
class DistilBertBlock extends Block {
  override readonly attentionDrop: Dropout;

  constructor(shape: BlockShape) {
    super(shape);
    this.attentionDrop = new Dropout(0, { init: shape.init });
  }
}

class DistilBertBackbone extends EmbeddedBackbone {
  readonly embeddings: TextEmbeddings;
  readonly blocks: readonly Block[];
  readonly dim: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making) {
    super();
    const dim = config.integer('dim', 768);
    const heads = headsOf(config, dim, 'n_heads', 12);
    const layers = config.integer('n_layers', 6);
    const inner = config.integer('hidden_dim', 3072);
    const std = config.number('initializer_range', 0.02);
    const dropout = config.probability('dropout', 0.1);
    const ofWeights = config.probability('attention_dropout', 0.1);
    const activation = activationOf(config, 'activation', 'gelu');
    const shape = { ...making, std };
    this.embeddings = new TextEmbeddings({
      ...shape,
      ...paddingOf(config, 0),
      dim,
      vocabulary: config.integer('vocab_size', 30_522),
      positions: config.integer('max_position_embeddings', 512),
      types: 0,
      dropout,
      eps: EPS,
    });
    if (config.boolean('sinusoidal_pos_embds', false)) startAsWaves(this.embeddings.positions.weight);
    this.blocks = Array.from(
      { length: layers },
      () =>
        new DistilBertBlock({
          ...making,
          attention: { ...shape, dim, heads, causal: false, dropout: ofWeights },
          feedForward: new FeedForward(dim, inner, activation, shape),
          norm: () => new LayerNorm(dim, { eps: EPS, dtype: making.dtype }),
          placement: 'post',
          dropout,
        }),
    );
    this.dim = dim;
    this.activationsPerRow = layers * (12 * dim + 3 * inner);
  }

  forward(scope: TextScope): Tensor {
    return this.blocks.reduce((x, block) => block.forward(x, scope), this.embeddings.forward(scope));
  }
}

/** Sines in even columns and cosines in odd ones (Vaswani et al. 2017, section 3.5): where the table starts; it is trained like any. */
function startAsWaves(table: Tensor): void {
  const [count, dim] = table.shape as [number, number];
  const wave = (position: number, column: number): number => {
    const angle = position / 10_000 ** ((2 * Math.floor(column / 2)) / dim);
    return column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  };
  const waves = Array.from({ length: count }, (_, t) => Array.from({ length: dim }, (_unused, k) => wave(t, k)));
  tidy(() => noGrad(() => void table.copy_(tensor(waves, { dtype: 'float64' }))));
}

export const distilbert: Family = {
  modelType: 'distilbert',
  prefix: 'distilbert.',
  names: [
    ['backbone.embeddings.words', 'embeddings.word_embeddings'],
    ['backbone.embeddings.positions', 'embeddings.position_embeddings'],
    ['backbone.embeddings.norm', 'embeddings.LayerNorm'],
    ['backbone.blocks.{}.attention.query', 'transformer.layer.{}.attention.q_lin'],
    ['backbone.blocks.{}.attention.key', 'transformer.layer.{}.attention.k_lin'],
    ['backbone.blocks.{}.attention.value', 'transformer.layer.{}.attention.v_lin'],
    ['backbone.blocks.{}.attention.out', 'transformer.layer.{}.attention.out_lin'],
    ['backbone.blocks.{}.attentionNorm', 'transformer.layer.{}.sa_layer_norm'],
    ['backbone.blocks.{}.feedForward.in', 'transformer.layer.{}.ffn.lin1'],
    ['backbone.blocks.{}.feedForward.out', 'transformer.layer.{}.ffn.lin2'],
    ['backbone.blocks.{}.feedForwardNorm', 'transformer.layer.{}.output_layer_norm'],
  ],
  buffers: [/^embeddings\.position_ids$/],
  tasks: {
    features: {
      architecture: 'DistilBertModel',
      names: [],
      build: (config, making) => new FeatureExtractor(new DistilBertBackbone(config, making)),
    },
    'masked-lm': {
      architecture: 'DistilBertForMaskedLM',
      names: [
        ['head.dense', 'vocab_transform'],
        ['head.norm', 'vocab_layer_norm'],
        ['head.bias', 'vocab_projector.bias'],
      ],
      duplicates: [['vocab_projector.weight', 'distilbert.embeddings.word_embeddings.weight']],
      build: (config, making) => {
        config.only('tie_word_embeddings', true);
        const backbone = new DistilBertBackbone(config, making);
        const std = config.number('initializer_range', 0.02);
        const activation = activationOf(config, 'activation', 'gelu');
        return new MaskedLM(backbone, new TokenHead(backbone, { ...making, activation, eps: EPS, std }));
      },
    },
    'sequence-classification': {
      architecture: 'DistilBertForSequenceClassification',
      names: [
        ['head.dense', 'pre_classifier'],
        ['head.out', 'classifier'],
      ],
      build: (config, making) => {
        const backbone = new DistilBertBackbone(config, making);
        const std = config.number('initializer_range', 0.02);
        const head = new PooledHead({
          ...making,
          dense: linearLayer(backbone.dim, backbone.dim, { ...making, std }),
          dim: backbone.dim,
          labels: config.labels,
          activation: 'relu',
          before: 0,
          after: config.probability('seq_classif_dropout', 0.2),
          std,
        });
        return new SequenceClassifier(backbone, head, 'first', problemOf(config));
      },
    },
  },
};
