// BART: post-norm encoder and decoder, learned positions that begin at 2, one table for both texts and the head.

import { Dropout, Embedding, LayerNorm, SoftmaxHead } from '../../nn';
import type { Tensor } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Block, type BlockShape } from '../pretrained/block';
import { ConditionalGeneration, frameOf } from '../pretrained/conditional-generation';
import type { ConfigReader } from '../pretrained/config';
import { DecoderBlock } from '../pretrained/decoder-block';
import { type DecoderScope, EncoderDecoderBackbone } from '../pretrained/encoder-decoder';
import type { Family, Making } from '../pretrained/family';
import { FeedForward } from '../pretrained/layers';
import type { TextScope } from '../pretrained/text-scope';
import { headsOf } from './encoder-heads';
import { paddingOf } from './heads';

/** Rows of the position tables that no position reads. */
const OFFSET = 2;

class BartBackbone extends EncoderDecoderBackbone {
  readonly words: Embedding;
  readonly encoderPositions: Embedding;
  readonly encoderNorm: LayerNorm;
  readonly encoderDrop: Dropout;
  readonly encoder: readonly Block[];
  readonly decoderPositions: Embedding;
  readonly decoderNorm: LayerNorm;
  readonly decoderDrop: Dropout;
  readonly decoder: readonly DecoderBlock[];
  readonly dim: number;
  readonly maxLength: number;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making) {
    super();
    config.only('is_encoder_decoder', true);
    // Whole layers that are skipped by chance would be skipped for all samples alike.
    for (const field of ['encoder_layerdrop', 'decoder_layerdrop']) config.only(field, 0);
    for (const field of [
      'normalize_before',
      'normalize_embedding',
      'add_final_layer_norm',
      'static_position_embeddings',
    ])
      config.only(field, field === 'normalize_embedding');
    const dim = config.integer('d_model', 1024);
    const std = config.number('init_std', 0.02);
    const activation = activationOf(config, 'activation_function', 'gelu');
    const dropout = config.probability('dropout', 0.1);
    const innerDropout = config.probability('activation_dropout', 0);
    const shape = { ...making, std };
    const norm = (): LayerNorm => new LayerNorm(dim, { dtype: making.dtype });
    const blockOf = (side: 'encoder' | 'decoder'): (() => BlockShape) => {
      const heads = headsOf(config, dim, `${side}_attention_heads`, 16);
      const inner = config.integer(`${side}_ffn_dim`, 4096);
      const attention = { ...shape, dim, heads, causal: false, dropout: config.probability('attention_dropout', 0) };
      return () => ({
        ...making,
        attention,
        feedForward: new FeedForward(dim, inner, activation, { ...shape, innerDropout }),
        norm,
        placement: 'post',
        dropout,
      });
    };
    this.maxLength = config.integer('max_position_embeddings', 1024);
    const positions = (): Embedding => new Embedding(this.maxLength + OFFSET, dim, shape);
    this.words = new Embedding(config.integer('vocab_size', 50_265), dim, {
      ...shape,
      ...paddingOf(config, 1),
      scale: config.boolean('scale_embedding', false) ? Math.sqrt(dim) : 1,
    });
    this.encoderPositions = positions();
    this.encoderNorm = norm();
    this.encoderDrop = new Dropout(dropout, making);
    const encoderBlock = blockOf('encoder');
    const layers = config.integer('encoder_layers', 12);
    this.encoder = Array.from({ length: layers }, () => new Block(encoderBlock()));
    this.decoderPositions = positions();
    this.decoderNorm = norm();
    this.decoderDrop = new Dropout(dropout, making);
    const decoderBlock = blockOf('decoder');
    const decoders = config.integer('decoder_layers', 12);
    this.decoder = Array.from({ length: decoders }, () => new DecoderBlock(decoderBlock()));
    this.dim = dim;
    const inner = Math.max(config.integer('encoder_ffn_dim', 4096), config.integer('decoder_ffn_dim', 4096));
    this.activationsPerRow = Math.max(layers * (12 * dim + 3 * inner), decoders * (20 * dim + 3 * inner));
  }

  encode(scope: TextScope): Tensor {
    const placed = this.words.forward(scope.ids).add(this.encoderPositions.forward(scope.positions.add(OFFSET)));
    const first = this.encoderDrop.forward(this.encoderNorm.forward(placed));
    return this.encoder.reduce((x, block) => block.forward(x, scope), first);
  }

  decode(scope: DecoderScope): Tensor {
    const placed = this.words.forward(scope.ids).add(this.decoderPositions.forward(scope.positions.add(OFFSET)));
    const first = this.decoderDrop.forward(this.decoderNorm.forward(placed));
    return this.decoder.reduce((x, block) => block.forward(x, scope, scope.memory), first);
  }
}

/** What an encoder layer and a decoder layer call alike. */
const layerNames = (side: 'encoder' | 'decoder'): Family['names'] => [
  ...(['query', 'key', 'value', 'out'] as const).map(
    (part) =>
      [
        `backbone.${side}.{}.attention.${part}`,
        `${side}.layers.{}.self_attn.${part === 'out' ? 'out' : part[0]}_proj`,
      ] as const,
  ),
  [`backbone.${side}.{}.attentionNorm`, `${side}.layers.{}.self_attn_layer_norm`],
  [`backbone.${side}.{}.feedForward.in`, `${side}.layers.{}.fc1`],
  [`backbone.${side}.{}.feedForward.out`, `${side}.layers.{}.fc2`],
  [`backbone.${side}.{}.feedForwardNorm`, `${side}.layers.{}.final_layer_norm`],
  [`backbone.${side}Positions`, `${side}.embed_positions`],
  [`backbone.${side}Norm`, `${side}.layernorm_embedding`],
];

export const bart: Family = {
  modelType: 'bart',
  prefix: 'model.',
  names: [
    ['backbone.words', 'shared'],
    ...layerNames('encoder'),
    ...layerNames('decoder'),
    ...(['query', 'key', 'value', 'out'] as const).map(
      (part) =>
        [
          `backbone.decoder.{}.cross.${part}`,
          `decoder.layers.{}.encoder_attn.${part === 'out' ? 'out' : part[0]}_proj`,
        ] as const,
    ),
    ['backbone.decoder.{}.crossNorm', 'decoder.layers.{}.encoder_attn_layer_norm'],
  ],
  buffers: [],
  rename: (name) => name.replace(/^(encoder|decoder)\.embed_tokens\./, 'model.$1.embed_tokens.'),
  tasks: {
    'conditional-generation': {
      architecture: 'BartForConditionalGeneration',
      names: [
        ['finalLogitsBias', 'final_logits_bias'],
        ['head', 'lm_head'],
      ],
      // Bare models have none: it is zero there.
      optional: ['finalLogitsBias'],
      duplicates: [
        ['lm_head.weight', 'model.shared.weight'],
        ['model.encoder.embed_tokens.weight', 'model.shared.weight'],
        ['model.decoder.embed_tokens.weight', 'model.shared.weight'],
      ],
      build: (config, making) => {
        const backbone = new BartBackbone(config, making);
        const { dim, vocabulary } = backbone;
        const tied = config.boolean('tie_word_embeddings', true);
        const head = tied
          ? null
          : new SoftmaxHead(dim, vocabulary, { ...making, std: config.number('init_std', 0.02) });
        return new ConditionalGeneration(backbone, {
          head,
          scale: 1,
          frame: frameOf(config, vocabulary, 2, 1),
          finalBias: true,
        });
      },
    },
  },
};
