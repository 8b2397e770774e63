// BEiT: ViT with distances between patches added to attention, layers that scale what they add, and a mean over patches.

import { affine, Conv2d, currentSegments, Dropout, LayerNorm, Module, Parameter, perSample } from '../../nn';
import { beside, ones, type Tensor, torch, zeros } from '../../tensor';
import { activationOf } from '../pretrained/activations';
import { Attention, type AttentionBias, type AttentionScope, type AttentionShape } from '../pretrained/attention';
import { attentionBlocks } from '../pretrained/attention-blocks';
import type { ConfigReader } from '../pretrained/config';
import { DropPath } from '../pretrained/drop-path';
import type { Family, Making } from '../pretrained/family';
import { ImageBackbone, ImageClassifier } from '../pretrained/image-classifier';
import { FeedForward, type LinearLayer } from '../pretrained/layers';
import { problemOf } from '../pretrained/sequence-classifier';
import { headsOf } from './encoder-heads';
import { FirstRowHead, sizesOf } from './image-heads';
import { VIT_NAMES } from './vit';

/** A learned number for every head and every distance between two patches of a square image of `side` × `side`. */
class PatchDistances extends Module {
  /** `[(2 side − 1)² + 3, heads]`: the last three are between the first row and patches, patches and it, and it and itself. */
  readonly table: Parameter;
  readonly side: number;

  constructor(side: number, heads: number, { dtype }: Making) {
    super();
    this.table = new Parameter(zeros([(2 * side - 1) ** 2 + 3, heads], { dtype }));
    this.side = side;
  }

  /** @returns `[samples, heads, rows, rows]` */
  forward(samples: number): Tensor {
    const [distances, heads] = this.table.shape as [number, number];
    const { side } = this;
    const rows = side * side + 1;
    const ids = Array.from({ length: rows * rows }, (_, k) => {
      const [query, key] = [Math.floor(k / rows), k % rows];
      if (query === 0 || key === 0) return distances - (query === key ? 1 : key === 0 ? 2 : 3);
      const down = Math.floor((query - 1) / side) - Math.floor((key - 1) / side);
      const right = ((query - 1) % side) - ((key - 1) % side);
      return (down + side - 1) * (2 * side - 1) + right + side - 1;
    });
    return perSample(this.table, samples)
      .indexSelect(1, beside(this.table, BigInt64Array.from(ids, BigInt)))
      .view([samples, rows, rows, heads])
      .permute([0, 3, 1, 2]);
  }
}

interface BeitBlockShape extends Making {
  readonly attention: AttentionShape;
  readonly feedForward: LinearLayer;
  readonly norm: () => LayerNorm;
  /** Where the scales begin; 0: there are none. */
  readonly scale: number;
  readonly dropout: number;
  readonly dropPath: number;
  readonly distances: PatchDistances | null;
}

class BeitBlock extends Module {
  readonly attentionNorm: LayerNorm;
  readonly attention: Attention;
  readonly attentionDrop: Dropout;
  /** `[dim]`. */
  readonly attentionScale: Parameter | null;
  readonly attentionPath: DropPath;
  readonly feedForwardNorm: LayerNorm;
  readonly feedForward: LinearLayer;
  readonly feedForwardDrop: Dropout;
  /** `[dim]`. */
  readonly feedForwardScale: Parameter | null;
  readonly feedForwardPath: DropPath;
  readonly distances: PatchDistances | null;

  constructor({ attention, feedForward, norm, scale, dropout, dropPath, distances, ...making }: BeitBlockShape) {
    super();
    const scales = (): Parameter | null =>
      scale === 0 ? null : new Parameter(ones([attention.dim], { dtype: making.dtype }).mul(scale));
    this.attentionNorm = norm();
    this.attention = new Attention(attention);
    this.attentionDrop = new Dropout(dropout, making);
    this.attentionScale = scales();
    this.attentionPath = new DropPath(dropPath, making);
    this.feedForwardNorm = norm();
    this.feedForward = feedForward;
    this.feedForwardDrop = new Dropout(dropout, making);
    this.feedForwardScale = scales();
    this.feedForwardPath = new DropPath(dropPath, making);
    this.distances = distances;
  }

  /** @param shared  What all layers add to their attention. */
  forward(x: Tensor, scope: AttentionScope, shared: AttentionBias | null): Tensor {
    const bias = this.#bias(shared);
    const attended = this.attention.forward(this.attentionNorm.forward(x), scope, null, bias);
    const seen = x.add(this.attentionPath.forward(scaled(this.attentionDrop.forward(attended), this.attentionScale)));
    const fed = this.feedForward.forward(this.feedForwardNorm.forward(seen));
    return seen.add(this.feedForwardPath.forward(scaled(this.feedForwardDrop.forward(fed), this.feedForwardScale)));
  }

  #bias(shared: AttentionBias | null): AttentionBias | null {
    if (this.distances === null) return shared;
    const own = biasOf(this.distances);
    return shared === null ? own : { ...own, values: own.values.add(shared.values) };
  }
}

const scaled = (rows: Tensor, scale: Parameter | null): Tensor => (scale === null ? rows : affine(rows, scale));

function biasOf(distances: PatchDistances): AttentionBias {
  const { offsets, samples } = currentSegments()!;
  return {
    values: distances.forward(samples),
    blocks: attentionBlocks(offsets, offsets, false, distances.table.device),
  };
}

class BeitBackbone extends ImageBackbone {
  readonly patches: Conv2d;
  /** `[1, 1, dim]`: the row before the patches. */
  readonly tokens: readonly [Parameter];
  /** `[1, rows, dim]`. */
  readonly positions: Parameter | null;
  readonly inputDrop: Dropout;
  readonly distances: PatchDistances | null;
  readonly blocks: readonly BeitBlock[];
  /** Of all rows, where the first one is pooled. */
  readonly norm: LayerNorm | null;
  /** Of the mean over the patches. */
  readonly poolNorm: LayerNorm | null;
  readonly dim: number;
  readonly shape: readonly [number, number, number];
  readonly extraRows = 1;
  readonly rowsPerImage: number;
  readonly activationsPerImage: number;

  constructor(config: ConfigReader, making: Making) {
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
    const dropPath = config.probability('drop_path_rate', 0.1);
    const channels = config.integer('num_channels', 3);
    const [height, width] = sizesOf(config, 'image_size', 224);
    const [patch, ofWidth] = sizesOf(config, 'patch_size', 16);
    if (height !== width || patch !== ofWidth) config.refuse('images and patches must be square');
    const side = Math.floor(height / patch);
    if (side === 0) config.refuse('image_size must be at least patch_size');
    const rows = side * side + 1;
    const shape = { ...making, std };
    const norm = (): LayerNorm => new LayerNorm(dim, { eps, dtype: making.dtype });
    const distances = (): PatchDistances => new PatchDistances(side, heads, making);
    const perLayer = config.boolean('use_relative_position_bias', false);
    const mean = config.boolean('use_mean_pooling', true);
    const { dtype } = making;
    this.patches = new Conv2d(channels, dim, [patch, patch], { ...shape, stride: [patch, patch] });
    this.tokens = [new Parameter(zeros([1, 1, dim], { dtype }))];
    this.positions = config.boolean('use_absolute_position_embeddings', false)
      ? new Parameter(zeros([1, rows, dim], { dtype }))
      : null;
    this.inputDrop = new Dropout(dropout, making);
    this.distances = config.boolean('use_shared_relative_position_bias', false) ? distances() : null;
    this.blocks = Array.from(
      { length: layers },
      (_, layer) =>
        new BeitBlock({
          ...making,
          attention: { ...shape, dim, heads, causal: false, keyBias: false, dropout: ofWeights },
          feedForward: new FeedForward(dim, inner, activation, shape),
          norm,
          scale: Math.max(0, config.number('layer_scale_init_value', 0.1)),
          dropout,
          // Later layers are dropped more often.
          dropPath: (dropPath * layer) / Math.max(layers - 1, 1),
          distances: perLayer ? distances() : null,
        }),
    );
    this.norm = mean ? null : norm();
    this.poolNorm = mean ? norm() : null;
    this.dim = dim;
    this.shape = [channels, height, width];
    this.rowsPerImage = rows;
    const attended = perLayer || this.distances !== null ? 4 * heads * rows : 0;
    this.activationsPerImage = rows * layers * (14 * dim + 3 * inner + attended);
  }

  embed(pixels: Tensor): Tensor {
    const [samples] = pixels.shape as [number];
    const patches = this.patches.forward(pixels).flatten(2).transpose(1, 2); // [B, patches, dim]
    const each = (parameter: Parameter): Tensor => perSample(parameter, samples).squeeze(1);
    const rows = torch.ops.aten.cat([each(this.tokens[0]), patches], 1);
    return this.positions === null ? rows : rows.add(each(this.positions));
  }

  encode(rows: Tensor, scope: AttentionScope): Tensor {
    const shared = this.distances === null ? null : biasOf(this.distances);
    const first = this.inputDrop.forward(rows);
    const last = this.blocks.reduce((x, block) => block.forward(x, scope, shared), first);
    return this.norm === null ? last : this.norm.forward(last);
  }

  override pool(hidden: Tensor): Tensor {
    if (this.poolNorm === null) return super.pool(hidden);
    const patches = hidden.narrow(1, 1, this.rowsPerImage - 1);
    return this.poolNorm.forward(patches.mean([1])).unsqueeze(1);
  }
}

const TABLE = 'relative_position_bias.relative_position_bias_table';

export const beit: Family = {
  modelType: 'beit',
  prefix: 'beit.',
  names: [
    ...VIT_NAMES,
    ['backbone.distances.table', `encoder.${TABLE}`],
    ['backbone.blocks.{}.distances.table', `encoder.layer.{}.attention.attention.${TABLE}`],
    ['backbone.blocks.{}.attentionScale', 'encoder.layer.{}.lambda_1'],
    ['backbone.blocks.{}.feedForwardScale', 'encoder.layer.{}.lambda_2'],
    ['backbone.poolNorm', 'pooler.layernorm'],
  ],
  // Numbers of distances follow from the size of the image, and a classifier hides no patches.
  buffers: [/relative_position_index$/, /^embeddings\.mask_token$/],
  tasks: {
    'image-classification': {
      architecture: 'BeitForImageClassification',
      names: [['head.out', 'classifier']],
      poolers: ['backbone.poolNorm'],
      build: (config, making) => {
        const backbone = new BeitBackbone(config, making);
        return new ImageClassifier(backbone, new FirstRowHead(config, making, backbone.dim), problemOf(config));
      },
    },
  },
};
