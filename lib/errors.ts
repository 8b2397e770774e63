// One error class for the whole library: a stable code, what happened, and what to do about it.

/** Every code that the library throws, with the situation it names. Codes never change meaning. */
export const ERROR_CODES = {
  ERR_INVALID_ARGUMENT: 'an argument is out of range or of the wrong type',
  ERR_PLATFORM: 'native parts are not available on this platform',
  ERR_NATIVE_MISSING: 'the native files have not been built or installed',
  ERR_NATIVE_LOAD: 'LibTorch or the core could not be opened',
  ERR_ALREADY_LOADED: 'another LibTorch or another build of phantomgrad is open in this process',
  ERR_LIBTORCH_NOT_FOUND: 'no usable LibTorch was found',
  ERR_LIBTORCH_VERSION: 'the LibTorch that was found has another minor version',
  ERR_DOWNLOAD: 'a download failed or its checksum is wrong',
  ERR_TORCH: 'LibTorch refused an operation',
  ERR_TORCH_NO_OVERLOAD: 'no overload of an operator accepts the arguments',
  ERR_TENSOR_DISPOSED: 'a tensor was used after dispose()',
  ERR_OUT_OF_MEMORY: 'memory for a tensor could not be allocated',
  ERR_DEVICE: 'a device is not available, or tensors are on different ones',
  ERR_DATA_FORMAT: 'a data file is unreadable, empty or malformed',
  ERR_VOCABULARY: 'a text, a tokenizer or a data set has tokens that a vocabulary does not hold',
  ERR_MODEL_NOT_FOUND: 'a folder has no model, or the hub cache does not hold it',
  ERR_MODEL_CONFIG: 'a config.json is malformed, or describes a model that is not supported',
  ERR_MODEL_WEIGHTS: 'the tensors of a checkpoint are not those of the model',
  ERR_PRIVACY_BUDGET: 'the next step would exceed the privacy budget',
  ERR_PRIVACY_TARGET: 'the privacy target cannot be reached',
  ERR_AUDIT: 'an audit found that a claim about a mechanism does not hold',
  ERR_ACCOUNTING: 'an accountant cannot reach its accuracy in double precision',
  ERR_NO_GRADIENT_RULE: 'a parameter is used by an operator without a per-sample rule',
  ERR_PARAMETER_GROUPS: 'clipping groups do not hold every trained parameter exactly once',
  ERR_PARAMETER_UNUSED: 'a parameter got no use in the first step',
  ERR_BATCH_NOT_SAMPLED: 'a loss does not belong to an outstanding batch of the sampler',
  ERR_BATCH_DIMENSION: 'rows cannot be assigned to samples',
  ERR_SAMPLES_MIXED: 'the gradient of one sample reached the rows of another',
  ERR_LOSS_SHAPE: 'a loss is not one value a sample',
  ERR_BACKWARD_OUTSIDE_STEP: 'backward() was called while an engine is attached',
  ERR_ENGINE_STATE: 'the engine is attached, detached, locked or in evaluation mode when it must not be',
  ERR_NOT_FINITE: 'a parameter is not finite after a step',
  ERR_CHECKPOINT_NOT_FOUND: 'there is no checkpoint to resume from',
  ERR_CHECKPOINT_DAMAGED: 'a file of a checkpoint or its ledger is missing, cut off or changed',
  ERR_CHECKPOINT_MISMATCH: 'a checkpoint belongs to another plan, model, data set or version',
  ERR_CHECKPOINT_BUSY: 'a checkpoint is in use, or another process has written to it',
  ERR_CHECKPOINT_WRITE: 'a checkpoint cannot be written',
  ERR_RUN_FOLDER: 'a run folder is missing, incomplete or belongs to another configuration',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * What every function of this library throws.
 *
 * @example try { … } catch (error) { if ((error as PhantomgradError).code === 'ERR_PRIVACY_BUDGET') … }
 */
export class PhantomgradError extends Error {
  override readonly name = 'PhantomgradError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Throws a {@link PhantomgradError}. The message says operation, argument, expected, got and the remedy. */
export function raise(code: ErrorCode, message: string, cause?: unknown): never {
  throw new PhantomgradError(code, message, cause === undefined ? undefined : { cause });
}
