// ViT: an image is a row of patches behind a learned first row, with learned positions and pre-norm blocks.

import { Conv2d, Dropout, LayerNorm, Parameter, perSample } from '../../nn';
import { type Tensor, torch } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import type { AttentionScope } from '../pretrained/attention';
import { Block } from '../pretrained/block';
import type { ConfigReader } from '../pretrained/config';
import type { Family, Making } from '../pretrained/family';
import { ImageBackbone, ImageClassifier } from '../pretrained/image-classifier';
import { FeedForward } from '../pretrained/layers';
import { problemOf } from '../pretrained/sequence-classifier';
import { headsOf } from './encoder-heads';
import { FirstRowHead, sizesOf } from './image-heads';

export class VitBackbone extends ImageBackbone {
  readonly patches: Conv2d;
  /** `[1, 1, dim]` each: rows before the patches. */
  readonly tokens: readonly Parameter[];
  /** `[1, rows, dim]`. */
  readonly positions: Parameter;
  readonly inputDrop: Dropout;
  readonly blocks: readonly Block[];
  readonly norm: LayerNorm;
  readonly dim: number;
  readonly shape: readonly [number, number, number];
  readonly extraRows: number;
  readonly rowsPerImage: number;
  readonly activationsPerImage: number;

  /** @param extraRows  Learned rows before the patches: one for the class, perhaps one for the teacher. */
  constructor(config: ConfigReader, making: Making, extraRows: number) {
    super();
    const dim = config.integer('hidden_size', 768);
    const heads = headsOf(config, dim, 'num_attention_heads', 12);
    const layers = config.integer('num_hidden_layers', 12);
    const inner = config.integer('intermediate_size', 3072);
    const std = config.number('initializer_range', 0.02);
    const eps = config.number('layer_norm_eps', 1e-12);
    const activation = activationOf(config, 'hidden_act', 'gelu');
    const dropout = config.probability('hidden_dropout_prob', 0);
    const ofWeights = config.probability('attention_probs_dropout_prob', 0);
    const bias = config.boolean('qkv_bias', true);
    const channels = config.integer('num_channels', 3);
    const image = sizesOf(config, 'image_size', 224);
    const patch = sizesOf(config, 'patch_size', 16);
    const count = image.reduce((product, size, k) => product * Math.floor(size / patch[k]!), 1);
    if (count === 0) config.refuse('image_size must be at least patch_size');
    const shape = { ...making, std };
    const norm = (): LayerNorm => new LayerNorm(dim, { eps, dtype: making.dtype });
    const row = (rows: number): Parameter => new Parameter(making.init.normal([1, rows, dim], std, making.dtype));
    this.patches = new Conv2d(channels, dim, patch, { ...shape, stride: patch });
    this.tokens = Array.from({ length: extraRows }, () => row(1));
    this.positions = row(extraRows + count);
    this.inputDrop = new Dropout(dropout, making);
    this.blocks = Array.from(
      { length: layers },
      () =>
        new Block({
          ...making,
          attention: { ...shape, dim, heads, causal: false, bias, outBias: true, dropout: ofWeights },
          feedForward: new FeedForward(dim, inner, activation, shape),
          norm,
          placement: 'pre',
          dropout,
        }),
    );
    this.norm = norm();
    this.dim = dim;
    this.shape = [channels, ...image];
    this.extraRows = extraRows;
    this.rowsPerImage = extraRows + count;
    this.activationsPerImage = this.rowsPerImage * layers * (12 * dim + 3 * inner);
  }

  embed(pixels: Tensor): Tensor {
    const [samples] = pixels.shape as [number];
    const patches = this.patches.forward(pixels).flatten(2).transpose(1, 2); // [B, patches, dim]
    const each = (parameter: Parameter): Tensor => perSample(parameter, samples).squeeze(1);
    return torch.ops.aten.cat([...this.tokens.map(each), patches], 1).add(each(this.positions));
  }

  encode(rows: Tensor, scope: AttentionScope): Tensor {
    return this.norm.forward(this.blocks.reduce((x, block) => block.forward(x, scope), this.inputDrop.forward(rows)));
  }
}

/** The names of {@link VitBackbone}, but for the rows before the patches. */
export const VIT_NAMES: Family['names'] = [
  ['backbone.tokens.0', 'embeddings.cls_token'],
  ['backbone.positions', 'embeddings.position_embeddings'],
  ['backbone.patches', 'embeddings.patch_embeddings.projection'],
  ['backbone.blocks.{}.attention.query', 'encoder.layer.{}.attention.attention.query'],
  ['backbone.blocks.{}.attention.key', 'encoder.layer.{}.attention.attention.key'],
  ['backbone.blocks.{}.attention.value', 'encoder.layer.{}.attention.attention.value'],
  ['backbone.blocks.{}.attention.out', 'encoder.layer.{}.attention.output.dense'],
  ['backbone.blocks.{}.attentionNorm', 'encoder.layer.{}.layernorm_before'],
  ['backbone.blocks.{}.feedForward.in', 'encoder.layer.{}.intermediate.dense'],
  ['backbone.blocks.{}.feedForward.out', 'encoder.layer.{}.output.dense'],
  ['backbone.blocks.{}.feedForwardNorm', 'encoder.layer.{}.layernorm_after'],
  ['backbone.norm', 'layernorm'],
];

/** The layer on the first row, and the row for patches that are hidden: a classifier has neither. */
export const VIT_BUFFERS: Family['buffers'] = [/^pooler\.dense\.\w+$/, /^embeddings\.mask_token$/];

export const vit: Family = {
  modelType: 'vit',
  prefix: 'vit.',
  names: VIT_NAMES,
  buffers: VIT_BUFFERS,
  tasks: {
    'image-classification': {
      architecture: 'ViTForImageClassification',
      names: [['head.out', 'classifier']],
      build: (config, making) => {
        const backbone = new VitBackbone(config, making, 1);
        return new ImageClassifier(backbone, new FirstRowHead(config, making, backbone.dim), problemOf(config));
      },
    },
  },
};
