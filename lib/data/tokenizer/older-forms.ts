// The tokenizers of GPT-2, RoBERTa and BERT as tokenizer.json would describe them, for folders that hold only vocabulary and merges.

type Vocabulary = Readonly<Record<string, number>>;
type Description = Readonly<Record<string, unknown>>;

function added(vocab: Vocabulary, content: string, lstrip = false): object[] {
  const id = vocab[content];
  if (id === undefined) return [];
  return [{ id, content, single_word: false, lstrip, rstrip: false, normalized: false, special: true }];
}

function byteLevel(vocab: Vocabulary, merges: readonly string[]): Description {
  return {
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      vocab,
      merges,
    },
  };
}

/** Byte-level BPE without special tokens around a text (Radford et al. 2019). `<|endoftext|>` begins and ends. */
export function gpt2Description(vocab: Vocabulary, merges: readonly string[]): Description {
  return {
    ...byteLevel(vocab, merges),
    added_tokens: added(vocab, '<|endoftext|>'),
    post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
  };
}

/** Byte-level BPE as `<s> text </s>`, pairs as `<s> first </s></s> second </s>` (Liu et al. 2019). */
export function robertaDescription(vocab: Vocabulary, merges: readonly string[]): Description {
  return {
    ...byteLevel(vocab, merges),
    added_tokens: [
      ...['<s>', '<pad>', '</s>', '<unk>'].flatMap((token) => added(vocab, token)),
      ...added(vocab, '<mask>', true), // takes the space before it, so that "a <mask>" is two tokens
    ],
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['</s>', vocab['</s>']],
      cls: ['<s>', vocab['<s>']],
      trim_offsets: true,
      add_prefix_space: false,
    },
  };
}

/**
 * WordPiece as `[CLS] text [SEP]`, pairs as `[CLS] first [SEP] second [SEP]` (Devlin et al. 2019).
 *
 * @param lowercase  `do_lower_case` of tokenizer_config.json. Without it: true unless the vocabulary holds capital letters outside its
 *   bracketed special tokens.
 */
export function bertDescription(vocab: Vocabulary, lowercase: boolean | undefined): Description {
  const cased = (): boolean => Object.keys(vocab).some((token) => !/^\[.*\]$/.test(token) && /[A-Z]/.test(token));
  return {
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].flatMap((token) => added(vocab, token)),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: lowercase ?? !cased(),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', vocab['[SEP]']], cls: ['[CLS]', vocab['[CLS]']] },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}
