// Checkpoints of private training.

export {
  Checkpoint,
  type CheckpointHost,
  type CheckpointOptions,
  type CheckpointSummary,
  hasCheckpoint,
  readCheckpoint,
} from './checkpoint';
export type { Fingerprinted } from './description';
export type { SavedState } from './snapshot';
