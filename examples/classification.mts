// A text classifier trained privately: what one line of the file says is hidden. Afterwards Python's transformers loads the folder.
import { fineTune } from 'phantomgrad';

const { rows, statement } = await fineTune(
  'classifier',
  {
    data: 'sst2', // a folder with train.tsv and dev.tsv; 'qnli', 'qqp' and 'mnli' are other layouts, see `task`
    tokenizer: 'tokenizer', // with a pretrained model: model: 'roberta-base', which has its own
    config: 'tiny-bert',
    epsilon: 8,
    epochs: 20,
  },
  { out: 'private-classifier' },
);
console.log(rows, statement.text);
