// T5, with the gated form of version 1.1: pre-norm without biases, distances instead of positions, logits that are not scaled.

import { Dropout, Embedding, RMSNorm, SoftmaxHead } from '../../nn';
import type { Tensor } from '../../tensor';
import { type ActivationName } from '../pretrained/activations';
import { attentionBlocks } from '../pretrained/attention-blocks';
import { Block, type BlockShape } from '../pretrained/block';
import { ConditionalGeneration, frameOf } from '../pretrained/conditional-generation';
import type { ConfigReader } from '../pretrained/config';
import { DecoderBlock } from '../pretrained/decoder-block';
import { type DecoderScope, EncoderDecoderBackbone } from '../pretrained/encoder-decoder';
import type { Family, Making } from '../pretrained/family';
import { FeedForward, GatedFeedForward } from '../pretrained/layers';
import { RelativeBias } from '../pretrained/relative-bias';
import type { TextScope } from '../pretrained/text-scope';

/** Tokens of a text for which the memory of attention is planned: the model itself has no limit. */
const USUAL_LENGTH = 512;

/** `feed_forward_proj`, and what is meant by it. «gated-gelu» means the approximation by tanh. */
const FEED_FORWARD = {
  relu: 'relu',
  gelu: 'gelu',
  gelu_new: 'gelu_new',
  silu: 'silu',
  'gated-relu': 'relu',
  'gated-gelu': 'gelu_new',
  'gated-silu': 'silu',
} as const satisfies Readonly<Record<string, ActivationName>>;

class T5Backbone extends EncoderDecoderBackbone {
  readonly words: Embedding;
  readonly encoderInputDrop: Dropout;
  readonly encoderPositions: RelativeBias;
  readonly encoder: readonly Block[];
  readonly encoderNorm: RMSNorm;
  readonly encoderDrop: Dropout;
  readonly decoderInputDrop: Dropout;
  readonly decoderPositions: RelativeBias;
  readonly decoder: readonly DecoderBlock[];
  readonly decoderNorm: RMSNorm;
  readonly decoderDrop: Dropout;
  readonly dim: number;
  readonly maxLength = Infinity;
  readonly activationsPerRow: number;

  constructor(config: ConfigReader, making: Making) {
    super();
    config.only('is_encoder_decoder', true);
    const dim = config.integer('d_model', 512);
    const inner = config.integer('d_ff', 2048);
    const heads = config.integer('num_heads', 8);
    const headDim = config.integer('d_kv', 64);
    const dropout = config.probability('dropout_rate', 0.1);
    const eps = config.number('layer_norm_epsilon', 1e-6);
    const factor = config.number('initializer_factor', 1);
    const spelt = config.oneOf('feed_forward_proj', Object.keys(FEED_FORWARD) as (keyof typeof FEED_FORWARD)[], 'relu');
    const activation = FEED_FORWARD[spelt];
    const std = factor / Math.sqrt(dim);
    const shape = { ...making, std, bias: false };
    const drop = (): Dropout => new Dropout(dropout, making);
    const norm = (): RMSNorm => new RMSNorm(dim, { eps, dtype: making.dtype });
    const positions = (bothWays: boolean): RelativeBias =>
      new RelativeBias({
        ...making,
        heads,
        buckets: config.integer('relative_attention_num_buckets', 32, bothWays ? 4 : 2),
        maxDistance: config.integer('relative_attention_max_distance', 128),
        bothWays,
        std,
      });
    const feedForward = { ...shape, innerDropout: dropout, outStd: factor / Math.sqrt(inner) };
    const block = (): BlockShape => ({
      ...making,
      attention: {
        ...shape,
        dim,
        heads,
        headDim,
        causal: false,
        dropout,
        scale: 1,
        queryStd: factor / Math.sqrt(dim * headDim),
        outStd: factor / Math.sqrt(heads * headDim),
      },
      feedForward: new (spelt.startsWith('gated') ? GatedFeedForward : FeedForward)(
        dim,
        inner,
        activation,
        feedForward,
      ),
      norm,
      placement: 'pre',
      dropout,
    });
    const layers = config.integer('num_layers', 6);
    const decoders = config.optionalInteger('num_decoder_layers') ?? layers;
    this.words = new Embedding(config.integer('vocab_size', 32_128), dim, { ...making, std: factor });
    this.encoderInputDrop = drop();
    this.encoderPositions = positions(true);
    this.encoder = Array.from({ length: layers }, () => new Block(block()));
    this.encoderNorm = norm();
    this.encoderDrop = drop();
    this.decoderInputDrop = drop();
    this.decoderPositions = positions(false);
    this.decoder = Array.from({ length: decoders }, () => new DecoderBlock(block()));
    this.decoderNorm = norm();
    this.decoderDrop = drop();
    this.dim = dim;
    // Attention with a bias keeps its weights, unlike the packed operator.
    const attended = 4 * heads * (headDim + USUAL_LENGTH);
    this.activationsPerRow = Math.max(
      layers * (8 * dim + 3 * inner + attended),
      decoders * (12 * dim + 3 * inner + 2 * attended),
    );
  }

  encode(scope: TextScope): Tensor {
    const { offsets } = scope.segments;
    const { device } = this.words.weight;
    const bias = this.encoderPositions.forward(attentionBlocks(offsets, offsets, false, device));
    const first = this.encoderInputDrop.forward(this.words.forward(scope.ids));
    const last = this.encoder.reduce((x, block) => block.forward(x, scope, null, bias), first);
    return this.encoderDrop.forward(this.encoderNorm.forward(last));
  }

  decode(scope: DecoderScope): Tensor {
    const { offsets } = scope.segments;
    const { device } = this.words.weight;
    const bias =
      scope.cache?.started === true
        ? this.decoderPositions.next(scope.cache.lengths)
        : this.decoderPositions.forward(attentionBlocks(offsets, offsets, true, device));
    const first = this.decoderInputDrop.forward(this.words.forward(scope.ids));
    const last = this.decoder.reduce((x, block) => block.forward(x, scope, scope.memory, bias), first);
    return this.decoderDrop.forward(this.decoderNorm.forward(last));
  }
}

const PARTS = ['query', 'key', 'value', 'out'] as const;

/** @param feed  Number of the feed-forward network among the parts of a layer. */
const layerNames = (side: 'encoder' | 'decoder', feed: number): Family['names'] => [
  ...PARTS.map(
    (part) => [`backbone.${side}.{}.attention.${part}`, `${side}.block.{}.layer.0.SelfAttention.${part[0]}`] as const,
  ),
  [`backbone.${side}Positions.table`, `${side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`],
  [`backbone.${side}.{}.attentionNorm`, `${side}.block.{}.layer.0.layer_norm`],
  ...(
    [
      ['in', 'wi'],
      ['gate', 'wi_0'],
      ['up', 'wi_1'],
      ['out', 'wo'],
      ['down', 'wo'],
    ] as const
  ).map(
    ([ours, theirs]) =>
      [`backbone.${side}.{}.feedForward.${ours}`, `${side}.block.{}.layer.${feed}.DenseReluDense.${theirs}`] as const,
  ),
  [`backbone.${side}.{}.feedForwardNorm`, `${side}.block.{}.layer.${feed}.layer_norm`],
  [`backbone.${side}Norm`, `${side}.final_layer_norm`],
];

export const t5: Family = {
  modelType: 't5',
  prefix: '',
  names: [
    ['backbone.words', 'shared'],
    ...layerNames('encoder', 1),
    ...layerNames('decoder', 2),
    ...PARTS.map(
      (part) => [`backbone.decoder.{}.cross.${part}`, `decoder.block.{}.layer.1.EncDecAttention.${part[0]}`] as const,
    ),
    ['backbone.decoder.{}.crossNorm', 'decoder.block.{}.layer.1.layer_norm'],
  ],
  // The first checkpoints hold a table of distances between the two texts, which nothing reads.
  buffers: [/^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/],
  tasks: {
    'conditional-generation': {
      architecture: 'T5ForConditionalGeneration',
      names: [['head', 'lm_head']],
      duplicates: [
        ['lm_head.weight', 'shared.weight'],
        ['encoder.embed_tokens.weight', 'shared.weight'],
        ['decoder.embed_tokens.weight', 'shared.weight'],
      ],
      build: (config, making) => {
        const backbone = new T5Backbone(config, making);
        const { dim, vocabulary } = backbone;
        // Models with a head of their own do not scale what it reads. Files of today's library call all of them tied, and say it so.
        const tied = config.boolean('tie_word_embeddings', true) && config.boolean('scale_decoder_outputs', true);
        const std = config.number('initializer_factor', 1);
        return new ConditionalGeneration(backbone, {
          head: tied ? null : new SoftmaxHead(dim, vocabulary, { ...making, std }),
          scale: tied ? 1 / Math.sqrt(dim) : 1,
          frame: frameOf(config, vocabulary, 0, 0),
          finalBias: false,
        });
      },
    },
  },
};
