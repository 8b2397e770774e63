// `phantomgrad train images`: images into classes.

import { Command } from 'commander';

import type { ImageOptions } from '../tasks/fine-tune';
import { type RunFlags, runFineTune, withCommonOptions } from './fine-tune-options';
import { numbers } from './values';

export function trainImagesCommand(): Command {
  const command = new Command('images')
    .description('train a classifier of images privately')
    .option(
      '--data <path>',
      "CIFAR-10's binary files (a file, or their folder; also .gz), or a folder with train and test, in each a folder a class with PPM or PGM files",
    )
    .option('--test <path>', 'held-out images (default: those of the folder)')
    .option('--mean <values>', 'of each channel, on the scale 0..1, from public knowledge (default: 0.5)', numbers)
    .option('--std <values>', 'of each channel (default: 0.5)', numbers);
  return withCommonOptions(command, 'images', 'images')
    .addHelpText(
      'after',
      `
Examples:
  $ phantomgrad train images --data cifar-10-batches-bin --out model
  $ phantomgrad train images --data photos --model google/vit-base-patch16-224 --head-only --epsilon 2
`,
    )
    .action((_flags: unknown, self: Command) =>
      runFineTune<'images', RunFlags & ImageOptions>('images', self, (own) => own),
    );
}
