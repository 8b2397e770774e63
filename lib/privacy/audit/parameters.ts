// Trained parameters as one flat list of numbers, and where each begins.

import { fromTypedArray, noGrad, type Tensor, tidy } from '../../tensor';
import type { TrainableModel } from '../attached';
import { trainable } from '../trainable';

export interface Place {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** The trained parameters of a model that is looked at from outside: no engine is asked what it did. */
export class FlatParameters {
  readonly places: readonly Place[];
  readonly count: number;
  readonly #tensors: readonly Tensor[];

  constructor(model: TrainableModel) {
    const parameters = trainable(model);
    let at = 0;
    this.places = [...parameters].map(([name, { numel }]) => ({ name, from: at, to: (at += numel) }));
    this.count = at;
    this.#tensors = [...parameters.values()];
  }

  read(): Float64Array {
    return this.#gather((parameter) => parameter.detach());
  }

  /** What `backward` left; 0 where it left nothing. Drops it. */
  takeGradients(): Float64Array {
    const gradients = this.#gather((parameter) => parameter.grad);
    for (const parameter of this.#tensors) parameter.grad = null;
    return gradients;
  }

  write(values: Float64Array): void {
    noGrad(() =>
      tidy(() => {
        this.#tensors.forEach((parameter, k) => {
          const { from, to } = this.places[k] as Place;
          parameter.copy_(fromTypedArray(values.slice(from, to), parameter.shape));
        });
      }),
    );
  }

  #gather(of: (parameter: Tensor) => Tensor | null): Float64Array {
    const flat = new Float64Array(this.count);
    tidy(() => {
      this.#tensors.forEach((parameter, k) => {
        const part = of(parameter);
        if (part !== null)
          flat.set(part.to('float64').reshape([-1]).toTypedArray() as Float64Array, this.places[k]?.from);
      });
    });
    return flat;
  }
}
