// RoBERTa: BERT with positions that begin after the padding token's number, and heads of its own.

import type { ConfigReader } from '../pretrained/config';
import type { Family, Making } from '../pretrained/family';
import { FeatureExtractor } from '../pretrained/feature-extractor';
import { linearLayer } from '../pretrained/layers';
import { MaskedLM } from '../pretrained/masked-lm';
import { problemOf, SequenceClassifier } from '../pretrained/sequence-classifier';
import { TokenHead } from '../pretrained/token-head';
import { BERT_BUFFERS, BERT_NAMES, BertBackbone, presentNames } from './bert';
import { classifierDropout, PooledHead } from './encoder-heads';

function backboneOf(config: ConfigReader, making: Making): BertBackbone {
  if (config.raw.pad_token_id === null) config.refuse('pad_token_id must be a token: positions begin after its number');
  const backbone = new BertBackbone(config, making, { pooled: false, paddingId: 1, positionsSkipPadding: true });
  if (backbone.maxLength < 1) config.refuse('max_position_embeddings must be above pad_token_id + 1');
  return backbone;
}

export const roberta: Family = {
  modelType: 'roberta',
  prefix: 'roberta.',
  names: BERT_NAMES,
  buffers: BERT_BUFFERS,
  rename: presentNames,
  tasks: {
    features: {
      architecture: 'RobertaModel',
      names: [],
      build: (config, making) => new FeatureExtractor(backboneOf(config, making)),
    },
    'masked-lm': {
      architecture: 'RobertaForMaskedLM',
      names: [
        ['head.dense', 'lm_head.dense'],
        ['head.norm', 'lm_head.layer_norm'],
        ['head.bias', 'lm_head.bias'],
      ],
      duplicates: [
        ['lm_head.decoder.weight', 'roberta.embeddings.word_embeddings.weight'],
        ['lm_head.decoder.bias', 'lm_head.bias'],
      ],
      build: (config, making) => {
        config.only('tie_word_embeddings', true);
        const backbone = backboneOf(config, making);
        const head = new TokenHead(backbone, {
          ...making,
          // Whatever the activation of the blocks.
          activation: 'gelu',
          eps: config.number('layer_norm_eps', 1e-12),
          std: config.number('initializer_range', 0.02),
        });
        return new MaskedLM(backbone, head);
      },
    },
    'sequence-classification': {
      architecture: 'RobertaForSequenceClassification',
      names: [
        ['head.dense', 'classifier.dense'],
        ['head.out', 'classifier.out_proj'],
      ],
      build: (config, making) => {
        const backbone = backboneOf(config, making);
        const std = config.number('initializer_range', 0.02);
        const dropout = classifierDropout(config);
        const head = new PooledHead({
          ...making,
          dense: linearLayer(backbone.dim, backbone.dim, { ...making, std }),
          dim: backbone.dim,
          labels: config.labels,
          activation: 'tanh',
          before: dropout,
          after: dropout,
          std,
        });
        return new SequenceClassifier(backbone, head, 'first', problemOf(config));
      },
    },
  },
};
