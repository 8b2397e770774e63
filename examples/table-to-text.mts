// A language model that says what a table says, trained privately on E2E; then it writes about a table that it has not seen.
import { fineTune, write } from 'phantomgrad';

const { rows, privacy } = await fineTune(
  'table2text',
  {
    data: 'e2e', // a folder with trainset.csv and testset_w_refs.csv
    tokenizer: 'gpt2', // with a pretrained model: model: 'gpt2', lora: 4
    config: 'tiny-gpt2',
    unit: 'pair', // what is hidden: a table with one text; 'mr': with all its texts
    epsilon: 8,
    epochs: 15,
    maxSource: 120,
    maxTarget: 120,
  },
  { out: 'private-writer' },
);
console.log(rows, privacy);
const [written] = await write('private-writer', ['name[The Eagle], eatType[pub], near[The Mill]'], {
  maxNewTokens: 60,
  numBeams: 4,
});
console.log(written?.text);
