// Tokenizers: from text to ids and back.

export { ByteTokenizer, CharacterTokenizer } from './characters';
export { FolderTokenizer, tokenizer } from './folder-tokenizer';
export type { TokenizerOptions } from './folder-tokenizer';
export { encodeBatch } from './text-tokenizer';
export type { DecodeOptions, Encoded, EncodeOptions, SpecialIds, TextTokenizer } from './text-tokenizer';
