// The Tensor class: a handle, what it is, its value and its gradient. Every operator of LibTorch is a method
// (methods.ts).

import { inspect } from 'node:util';

import type { TensorMethods } from '../../types/ops';
import { raise } from '../errors';
import { operator } from './call';
import type { DType, TensorArray } from './dtype';
import { bridge } from './handles';
import { installMethods } from './methods';
import { nest, type Nested } from './nested';
import { core, type Handle, whenOpened } from './native';
import { setTensorHooks, trackInnermost } from './scope';

const convert = operator('aten::to');

/** Where and as what `to` puts a tensor. */
export interface ToOptions {
  readonly dtype?: DType;
  /** «cpu», «cuda», «cuda:1». */
  readonly device?: string;
  readonly copy?: boolean;
}

/**
 * An n-dimensional array in LibTorch's memory, on CPU or CUDA, with automatic differentiation.
 *
 * Besides the members below it has one method for every `aten` operator that takes a tensor first, in camelCase:
 * `x.add(y)`, `x.sum([1], true)`, `x.maskedFill(mask, 0)`, `x.add_(1)`; keywords go in a last plain object under their
 * LibTorch names: `x.div(y, { rounding_mode: 'floor' })`. In-place operators return the tensor itself.
 *
 * Memory is freed by `dispose()`, by the scope that owns the tensor (`tidy`, `scope`), or by the garbage collector.
 * Every use after that throws ERR_TENSOR_DISPOSED.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- installMethods defines what the interface declares
export class Tensor {
  readonly #handle: Handle;
  #disposed = false;
  #kept = false;

  /** @internal Use `tensor`, `zeros`, `fromTypedArray` …: a handle can only come from native code. */
  constructor(handle: Handle) {
    this.#handle = handle;
    trackInnermost(this);
  }

  static {
    bridge.tensorHandle = (value) => (#handle in value ? value.#handle : undefined);
    bridge.toTensor = (handle) => new Tensor(handle);
    setTensorHooks({
      isTensor: (value): value is Tensor => #handle in value,
      isKept: (tensor) => tensor.#kept,
      markKept: (tensor) => (tensor.#kept = true),
    });
    whenOpened((opened) => installMethods(Tensor.prototype, opened.methodNames()));
  }

  /** True for a Tensor of this library, whatever realm or subclass. */
  static isTensor(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #handle in value;
  }

  get shape(): number[] {
    return core().shape(this.#handle);
  }

  get dtype(): DType {
    return core().dtype(this.#handle);
  }

  /** «cpu», «cuda:0». */
  get device(): string {
    return core().device(this.#handle);
  }

  /** Number of elements. */
  get numel(): number {
    return core().numel(this.#handle);
  }

  /** True if the tensor was not computed from others by differentiable operators. */
  get isLeaf(): boolean {
    return core().isLeaf(this.#handle);
  }

  get requiresGrad(): boolean {
    return core().requiresGrad(this.#handle);
  }

  set requiresGrad(required: boolean) {
    this.requiresGrad_(required);
  }

  /**
   * Asks autograd to record operations on this leaf (or to stop). Returns the tensor itself.
   * @throws ERR_TORCH for integers, or if it is no leaf
   */
  requiresGrad_(required = true): this {
    return setRequiresGrad(this, required) as this;
  }

  /** The gradient that `backward` left here: a new Tensor over the same memory at each reading, or null. */
  get grad(): Tensor | null {
    const handle = core().grad(this.#handle);
    return handle === null ? null : new Tensor(handle);
  }

  /**
   * `x.grad = null` drops the gradient.
   * @throws ERR_INVALID_ARGUMENT if shape, dtype or device differ from the tensor's
   */
  set grad(value: Tensor | null) {
    core().setGrad(this.#handle, value === null ? null : value.#handle);
  }

  /**
   * Adds the gradient of this tensor to `grad` of every leaf that requires one.
   *
   * @param gradient What the tensor is multiplied with, same shape; may be left out for one element.
   * @throws ERR_BACKWARD_OUTSIDE_STEP while a privacy engine is attached; ERR_TORCH
   */
  backward(
    gradient: Tensor | null = null,
    options: { readonly retainGraph?: boolean; readonly createGraph?: boolean } = {},
  ): void {
    const { createGraph = false, retainGraph = createGraph } = options;
    core().backward(this.#handle, gradient === null ? null : gradient.#handle, retainGraph, createGraph);
  }

  /**
   * The value of a tensor with one element; a bool is 0 or 1.
   * @throws ERR_INVALID_ARGUMENT if it has more, or if a number would not be exact
   */
  item(): number {
    const value = core().item(this.#handle);
    if (typeof value === 'bigint') {
      raise('ERR_INVALID_ARGUMENT', `item: ${value} is beyond 2^53 and no exact number; use itemBigInt().`);
    }
    return value;
  }

  /**
   * The value of an integer tensor with one element.
   * @throws ERR_INVALID_ARGUMENT if it has more, or is not a whole number
   */
  itemBigInt(): bigint {
    const value = core().item(this.#handle);
    if (typeof value === 'number' && !Number.isInteger(value)) {
      raise('ERR_INVALID_ARGUMENT', `itemBigInt: ${value} is not a whole number.`);
    }
    return BigInt(value);
  }

  /**
   * A copy of the values in row-major order.
   * @throws ERR_INVALID_ARGUMENT for dtypes without a typed array (complex, float8)
   */
  toTypedArray(): TensorArray {
    return core().toTypedArray(this.#handle) as TensorArray;
  }

  /**
   * The values as nested arrays of numbers; a number for a tensor without dimensions.
   * @throws ERR_INVALID_ARGUMENT if an int64 is not exact
   */
  toArray(): Nested {
    const half = this.dtype === 'float16' || this.dtype === 'bfloat16';
    if (!half) return nest(this.toTypedArray(), this.shape);
    using wide = this.to('float32');
    return nest(wide.toTypedArray(), this.shape);
  }

  /**
   * The tensor as another dtype or on another device; the tensor's own memory where nothing changes.
   * @example x.to('float64'); x.to('cuda:0'); x.to(other)
   */
  to(target: DType | Tensor | (string & {}) | ToOptions, options: ToOptions = {}): Tensor {
    if (target instanceof Tensor) return convert(this, target, options) as Tensor;
    if (typeof target !== 'string') return convert(this, { ...target, ...options }) as Tensor;
    const keyword = /^(cpu|cuda|meta)(:\d+)?$/.test(target) ? 'device' : 'dtype';
    return convert(this, { [keyword]: target, ...options }) as Tensor;
  }

  /**
   * Hands the tensor's memory to another Worker: send the number there and call `fromShared(number)`, once. Nothing is
   * copied; gradients do not cross.
   */
  share(): number {
    return core().share(this.#handle);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * Gives the memory back now. What shares it (views, gradients, graphs) keeps it alive. Disposing twice is allowed.
   */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    core().dispose(this.#handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    if (this.#disposed) return 'Tensor(disposed)';
    const grad = this.requiresGrad ? ', requiresGrad' : '';
    return `Tensor([${this.shape.join(', ')}], ${this.dtype}, ${this.device}${grad})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

const setRequiresGrad = operator('aten::requires_grad_');

// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type -- see above
export interface Tensor extends TensorMethods<Tensor> {}
