// DeiT: ViT with a second learned row, which learnt from a teacher.

import type { Family } from '../pretrained/family';
import { ImageClassifier } from '../pretrained/image-classifier';
import { problemOf } from '../pretrained/sequence-classifier';
import { FirstRowHead, TeacherHead } from './image-heads';
import { VIT_BUFFERS, VIT_NAMES, VitBackbone } from './vit';

export const deit: Family = {
  modelType: 'deit',
  prefix: 'deit.',
  names: [['backbone.tokens.1', 'embeddings.distillation_token'], ...VIT_NAMES],
  buffers: VIT_BUFFERS,
  tasks: {
    'image-classification': {
      architecture: 'DeiTForImageClassification',
      names: [['head.out', 'classifier']],
      build: (config, making) => {
        const backbone = new VitBackbone(config, making, 2);
        return new ImageClassifier(backbone, new FirstRowHead(config, making, backbone.dim), problemOf(config));
      },
    },
    'image-classification-with-teacher': {
      architecture: 'DeiTForImageClassificationWithTeacher',
      names: [
        ['head.out', 'cls_classifier'],
        ['head.teacher', 'distillation_classifier'],
      ],
      build: (config, making) => {
        const backbone = new VitBackbone(config, making, 2);
        return new ImageClassifier(backbone, new TeacherHead(config, making, backbone.dim), problemOf(config));
      },
    },
  },
};
