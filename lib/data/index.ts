// Data for training: reading, records, batches.

// Sequential recommenders.
export { interactions, Interactions } from './interactions';
export type { InteractionsOptions, Split } from './interactions';
export type { Columns } from './readers/columns';
export { DataFormatError } from './readers/failure';
export type { Place } from './readers/failure';
export type { Format } from './readers/formats';
export type { Row } from './readers/rows';
export { EvaluationSet, SequenceDataset } from './sequences';
export { historyRows, pack } from './batches';
export type { Batch, BatchOptions, PackOptions, SequenceRows, Sequences } from './batches';
export { packRecords } from './pack';
export { syntheticInteractions } from './synthetic/histories';
export type { SyntheticOptions } from './synthetic/histories';
export type { Law, LawOptions } from './synthetic/law';
export { syntheticOptimum } from './synthetic/optimum';
export type { Optimum } from './synthetic/optimum';

// Tokenizers.
export { ByteTokenizer, CharacterTokenizer, encodeBatch, FolderTokenizer, tokenizer } from './tokenizer';
export type { DecodeOptions, Encoded, EncodeOptions, SpecialIds, TextTokenizer, TokenizerOptions } from './tokenizer';

// Text as records, and as batches.
export { Alphabet, characterBlocks } from './text/character-blocks';
export type { CharacterBlocks } from './text/character-blocks';
export { syntheticText, type SyntheticTextOptions } from './synthetic/text';
export { readText, textBlocks } from './text/blocks';
export type { BlockOptions } from './text/blocks';
export { padIds, padRecords } from './text/padded';
export type { PaddedBatch, PaddedIds, PadOptions } from './text/padded';
export { ExampleDataset } from './text/example-dataset';
export { seq2seqBatch, Seq2SeqDataset } from './text/seq2seq';
export type { Seq2SeqBatch, Seq2SeqExample, TargetRows } from './text/seq2seq';
export type { TokenPackOptions } from './text/token-batch';
export { tokenBatch } from './text/tokens';
export type { ChoiceExample, TokenBatch, TokenBatchOptions, TokenExample, TokenRows } from './text/tokens';
export { TokenDataset } from './text/token-dataset';
export type { Objective, TokenDatasetOptions, TokenRecord, TokenSequence } from './text/token-dataset';
export { classificationRecords } from './text/classification';
export type { ClassificationOptions } from './text/classification';
export { classifiedTexts, glue, GLUE } from './text/glue';
export type { ClassificationLayout, ClassifiedText, ClassifiedTexts, GlueOptions, GlueTask } from './text/glue';
export { infilling, PROMPTS } from './text/infilling';
export type { Infilling, InfillingOptions, Prompt } from './text/infilling';
export { delexicaliseTable, delexicaliseText, relexicalise } from './text/delexicalise';
export { tablePrompt, tableToText } from './text/table-to-text';
export type { TableToTextOptions } from './text/table-to-text';
export { dart, e2e, linearise, meanings } from './text/tables';
export type { Meaning, TablePair } from './text/tables';

// Images.
export { cifar10 } from './images/cifar';
export { imageFolder } from './images/folder';
export { ImageExampleDataset } from './images/example-dataset';
export { imageBatch } from './images/image-batch';
export type { ImageBatch, ImageBatchOptions, ImageExample, ImageRows } from './images/image-batch';
export { ImageDataset } from './images/image-dataset';
export type { ImageOptions, ImagePackOptions, RawImages } from './images/image-dataset';
