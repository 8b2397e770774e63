// A vision Transformer trained privately on images in folders, one folder a class.
import { fineTune } from 'phantomgrad';

const { rows, privacy } = await fineTune('images', {
  data: 'pictures', // with the folders train and test, in each one folder a class with PPM files; CIFAR-10's files are read, too
  config: 'tiny-vit', // with a pretrained model: model: 'google/vit-base-patch16-224', headOnly: true
  epsilon: 8,
  epochs: 30,
});
console.log(rows, privacy);
