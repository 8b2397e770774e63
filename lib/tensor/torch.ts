// The `torch` object: the low-level door under the name that every reader knows.

import * as factories from './factories';
import * as modes from './modes';
import { ops } from './ops';
import { Generator, manualSeed } from './random';
import { keep, scope, tidy, tidyAsync } from './scope';
import { Tensor } from './tensor';

export const torch = {
  Tensor,
  Generator,
  /** Every operator, by namespace and LibTorch's own name. */
  ops,
  ...factories,
  ...modes,
  manualSeed,
  tidy,
  tidyAsync,
  scope,
  keep,
} as const;
