// Data for sequential recommenders: reading, sequences, batches.

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
