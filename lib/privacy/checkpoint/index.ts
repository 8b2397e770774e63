// Checkpoints of private training.

export { Checkpoint, type CheckpointOptions, type CheckpointSummary, readCheckpoint } from './checkpoint';
export type { Fingerprinted } from './description';
export type { SavedState } from './snapshot';
export { type CheckpointHost, hasCheckpoint } from './start';
