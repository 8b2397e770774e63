// Every law of the CUDA kernels, by kernel.

import type { Kit } from '../kit';
import { attentionLaws } from './attention';
import { denseLaws } from './dense';
import { headLaws } from './head';
import { indexLaws } from './index_use';
import { normLayerLaws } from './norm_layer';
import { privateAdamLaws } from './private_adam';
import { storedLaws } from './stored';

export const LAWS: Readonly<Record<string, (kit: Kit) => void>> = {
  'private update': privateAdamLaws,
  'stored gradients': storedLaws,
  'linear layers': denseLaws,
  embeddings: indexLaws,
  'softmax head': headLaws,
  attention: attentionLaws,
  'norm layers': normLayerLaws,
};
