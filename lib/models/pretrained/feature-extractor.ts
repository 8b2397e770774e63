// A backbone alone: the last hidden rows of texts.

import type { TokenBatch, TokenRows } from '../../data';
import { raise } from '../../errors';
import type { Tensor } from '../../tensor';
import type { LogitsOptions } from './causal-lm';
import { PretrainedModel } from './model';
import { padded, type TextBackbone } from './text-backbone';
import { inTextScope } from './text-scope';

export class FeatureExtractor extends PretrainedModel {
  constructor(readonly backbone: TextBackbone) {
    super();
  }

  /** `[N, dim]`, or padded `[texts, width, dim]`. Train it by a loss of your own inside nn.withSegments. */
  hidden(rows: TokenRows, { padded: wanted = false }: LogitsOptions = {}): Tensor {
    return inTextScope(rows, this.backbone, (scope) => {
      const hidden = this.backbone.forward(scope);
      return wanted ? padded(hidden, rows) : hidden;
    });
  }

  /** @throws ERR_INVALID_ARGUMENT always: a backbone alone has nothing to be wrong about. */
  loss(_batch: TokenBatch): never {
    return raise(
      'ERR_INVALID_ARGUMENT',
      'loss: features have no loss. Load the model for a task, or compute one from hidden().',
    );
  }
}
