// What models of images have in common: heads on the rows that stand for an image, and sizes in their configurations.

import { Module } from '../../nn';
import type { Tensor } from '../../tensor';
import type { ConfigReader } from '../pretrained/config';
import type { Making } from '../pretrained/family';
import { linearLayer, type LinearLayer } from '../pretrained/layers';

/** One linear layer on the row of the class. */
export class FirstRowHead extends Module {
  readonly out: LinearLayer;

  constructor(config: ConfigReader, making: Making, dim: number) {
    super();
    this.out = headOf(config, making, dim);
  }

  /** @param rows `[B, rows, dim]` @returns `[B, labels]` */
  forward(rows: Tensor): Tensor {
    return this.out.forward(rows.select(1, 0));
  }
}

/** A linear layer on the row of the class, another on that of the teacher, and the mean of both. */
export class TeacherHead extends Module {
  readonly out: LinearLayer;
  readonly teacher: LinearLayer;

  constructor(config: ConfigReader, making: Making, dim: number) {
    super();
    this.out = headOf(config, making, dim);
    this.teacher = headOf(config, making, dim);
  }

  /** @param rows `[B, 2, dim]` @returns `[B, labels]` */
  forward(rows: Tensor): Tensor {
    return this.out
      .forward(rows.select(1, 0))
      .add(this.teacher.forward(rows.select(1, 1)))
      .div(2);
  }
}

const headOf = (config: ConfigReader, making: Making, dim: number): LinearLayer =>
  linearLayer(dim, config.labels, { ...making, std: config.number('initializer_range', 0.02) });

/** Height and width: one number for both, or a list of two. */
export function sizesOf(config: ConfigReader, field: string, fallback: number): [number, number] {
  const value = config.raw[field];
  if (!Array.isArray(value)) {
    const size = config.integer(field, fallback);
    return [size, size];
  }
  const whole = value.every((size) => Number.isSafeInteger(size) && size >= 1);
  if (value.length !== 2 || !whole)
    config.refuse(`${field} must be one whole number or two, got ${JSON.stringify(value)}`);
  return value as [number, number];
}
