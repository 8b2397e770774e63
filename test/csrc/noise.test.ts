// The noise is ChaCha20 as published, its twin's normals, and never the same stream twice.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { fromTypedArray, tidy, torch } from '../../lib/tensor';
import { normals, release, source, withSource } from './noise_support';

const ops = torch.ops.phantomgrad;
const file = join(__dirname, '../fixtures/vectors/chacha20.json');
const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
  cases: { name: string; key: string; counter: number; nonce: string; block: string }[];
};
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

function block(key: Uint8Array, counter: number, nonce: Uint8Array): Uint8Array {
  return tidy(() => {
    const tensors = [fromTypedArray(key, [key.length]), fromTypedArray(nonce, [nonce.length])] as const;
    return ops.chacha20_block(tensors[0], counter, tensors[1]).toTypedArray() as Uint8Array;
  });
}

describe('ChaCha20', () => {
  test('the file of vectors holds those of RFC 8439', () => {
    expect(vectors.cases.filter(({ name }) => name.startsWith('RFC 8439')).length).toBeGreaterThanOrEqual(6);
  });

  test.each(vectors.cases)('$name: the block is exact', ({ key, counter, nonce, block: expected }) => {
    // A case of 256 bytes is four consecutive blocks.
    for (let i = 0; i < expected.length / 128; i++) {
      const bytes = block(hex(key), counter + i, hex(nonce));
      expect(Buffer.from(bytes).toString('hex')).toBe(expected.slice(128 * i, 128 * (i + 1)));
    }
  });

  test('every argument out of range is refused', () => {
    const [key, nonce] = [new Uint8Array(32), new Uint8Array(12)];
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
    expect(() => block(new Uint8Array(31), 0, nonce)).toThrow(refused);
    expect(() => block(key, 0, new Uint8Array(8))).toThrow(refused);
    expect(() => block(key, -1, nonce)).toThrow(refused);
    expect(() => block(key, 2 ** 32, nonce)).toThrow(refused);
    expect(block(key, 2 ** 32 - 1, nonce)).toHaveLength(64);
  });
});

describe('normals', () => {
  // 3 tiles and 41: the last tile is cut.
  test.each([1, 15, 16, 159, 160, 161, 521, 33_333])(
    '%i of them equal the twin to 8 units in the last place',
    (count) => {
      const fast = withSource(3, (id) => normals(id, count));
      const plain = withSource(3, (id) => normals(id, count, true));
      expect(fast).toHaveLength(count);
      let worst = 0;
      fast.forEach((x, i) => (worst = Math.max(worst, Math.abs(x - (plain[i] as number)) / Math.abs(x))));
      expect(worst).toBeLessThan(8 * Number.EPSILON);
    },
  );

  test('a longer draw begins with the shorter one', () => {
    const long = withSource(5, (id) => normals(id, 1000));
    expect(withSource(5, (id) => normals(id, 333))).toEqual(long.slice(0, 333));
  });

  test('none is a draw too', () => {
    expect(withSource(5, (id) => normals(id, 0))).toHaveLength(0);
  });
});

describe('a noise source', () => {
  test('repeats itself only when it is made from the same insecure seed', () => {
    const draw = (seed?: number): Float64Array => withSource(seed, (id) => normals(id, 50));
    expect(draw(11)).toEqual(draw(11));
    expect(draw(11)).not.toEqual(draw(12));
    expect(draw(0)).not.toEqual(draw(-1));
    expect(draw(1)).not.toEqual(draw(2 ** 32 + 1));
    expect(draw()).not.toEqual(draw());
  });

  test('never gives a value twice, over steps and over sources', () => {
    const seen = new Set<number>();
    const sources = [source(1), source(2), source(), source()];
    for (let step = 0; step < 60; step++) for (const id of sources) for (const x of normals(id, 500)) seen.add(x);
    sources.forEach(release);
    // 120,000 of about 2^50 values: two honest draws coincide with probability below 1e-5.
    expect(seen.size).toBe(60 * 4 * 500);
  });

  test('moves on with every use, whatever the use is', () => {
    const [a, b] = [source(9), source(9)];
    const first = normals(a, 100);
    tidy(() => {
      const sum = fromTypedArray(new Float64Array(100), [100]);
      ops.privatise_(sum, b, 1, 2 ** -8, 1);
    });
    expect(normals(b, 100)).toEqual(normals(a, 100));
    expect(normals(b, 100, true)).not.toEqual(first);
    release(a);
    release(b);
  });

  test('is not used up by a refused call', () => {
    const [a, b] = [source(4), source(4)];
    expect(() => normals(a, -1)).toThrow();
    expect(() => normals(a, 2 ** 40)).toThrow();
    expect(() => ops.privatise_(fromTypedArray(new Float64Array(3), [3]), a, 1, 2 ** -7, 1)).toThrow();
    expect(normals(a, 20)).toEqual(normals(b, 20));
    release(a);
    release(b);
  });

  test('is refused before it is made and after it was released', () => {
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
    const id = source();
    release(id);
    for (const unknown of [id, -1, 2 ** 40]) {
      expect(() => normals(unknown, 1)).toThrow(refused);
      expect(() => release(unknown)).toThrow(refused);
    }
  });

  test('leaves the whole 32-bit counter unrepeated: one draw too many is refused', () => {
    withSource(1, (id) => {
      expect(() => normals(id, (2 ** 32 / 16) * 160 + 1)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      );
    });
  });
});
