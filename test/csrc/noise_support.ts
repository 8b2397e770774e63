// Noise sources and raw normals for tests, over the native operators.

import { tidy, torch } from '../../lib/tensor';

const ops = torch.ops.phantomgrad;

/** A noise source; with a seed a reproducible one. */
export function source(insecureSeed?: number): number {
  return insecureSeed === undefined ? ops.noise_source_create() : ops.noise_source_create(insecureSeed);
}

export function release(id: number): void {
  ops.noise_source_release(id);
}

/** Runs `body` with a source that is released afterwards. */
export function withSource<T>(insecureSeed: number | undefined, body: (id: number) => T): T {
  const id = source(insecureSeed);
  try {
    return body(id);
  } finally {
    release(id);
  }
}

/** The next `count` normals of a source; `twin` takes them from the plain implementation. */
export function normals(id: number, count: number, twin = false): Float64Array {
  return tidy(() => {
    const drawn = twin ? ops.reference_normals(id, count) : ops.noise_normals(id, count);
    return drawn.toTypedArray() as Float64Array;
  });
}
