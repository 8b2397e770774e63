// What a device refuses is refused before a launch: more blocks than a grid holds, more shared memory than a block may have.

import { empty, type Tensor, torch, zeros } from '../../../lib/tensor';
import { Random } from '../ops/random';
import { doubles, longs, numbers } from './arrays';
import { hostKit, hostMissing } from './kit';

const ops = torch.ops.phantomgrad;
const KIB = 1024;
/** Of a block, as NVIDIA's programming guide has it (compute capability 8.0, 9.0, 8.9 and 12.0), and where nothing is asked for. */
const SHARED = { A100: 163 * KIB, H100: 227 * KIB, desktop: 99 * KIB, unasked: 48 * KIB } as const;
const missing = hostMissing();

if (missing === null) {
  const { kernels } = hostKit();
  const before = kernels.shared_memory!(SHARED.A100);
  afterEach(() => kernels.shared_memory!(before));

  const attend = (samples: number, heads: number, longest: number, rows: number): void => {
    const offsets = longs(Array.from({ length: samples + 1 }, (_, b) => (b === 0 ? 0 : rows)));
    const [query, output] = [zeros([rows, heads]), empty([rows, heads])];
    const [lse, none] = [empty([rows, heads]), [null, null]];
    const attention = [heads, longest, true, 0, null, 0, ...none, Infinity] as const;
    kernels.re_attention_forward_!(query, query, query, offsets, ...attention, output, lse, ...none);
  };

  test('a grid of more than 2^31 - 1 blocks is refused, whether or not its number would fit 32 bits', () => {
    for (const samples of [2 ** 11, 2 ** 12]) expect(() => attend(samples, 2 ** 20, 64, 1)).toThrow(/blocks.*2\^31/);
  });

  test.each(Object.entries(SHARED))('attention knows how long a sample may be on a GPU of kind %s', (kind, bytes) => {
    kernels.shared_memory!(bytes);
    const longest = (dtype: 'float32' | 'float64', backward: boolean): number =>
      Number(kernels.re_attention_longest!(zeros([1, 1], { dtype }), backward));
    const rows = longest('float32', false);
    expect(longest('float32', true)).toBeLessThan(rows);
    expect(longest('float64', false)).toBeLessThan(rows);
    attend(1, 1, rows, rows);
    expect(() => attend(1, 1, rows + 1, rows + 1)).toThrow(/re_attention_longest/);
    // docs/cuda.md: on A100 and H100 alike.
    if (kind.endsWith('100')) expect([rows, longest('float32', true)]).toEqual([576, 256]);
  });

  test('a model takes the kernels as far as the device at hand lets it, and LibTorch from there on', () => {
    const draw = new Random(3);
    const offsets = longs([0, 70, 270]);
    const attended = (bytes: number): { readonly results: Float64Array[]; readonly calls: number } => {
      kernels.shared_memory!(bytes);
      ops.ask_host_plugin(true);
      ops.plugin_forget();
      try {
        const [q, k, v] = inputs.map((t) => t.detach().requiresGrad_()) as [Tensor, Tensor, Tensor];
        const [output] = ops.re_attention(q, k, v, variance, offsets, { heads: 2 });
        output.mul(output).sum().backward();
        const line = ops.plugin_report().find((one) => one.startsWith('attention'))!;
        expect(line).toMatch(/in use$/);
        return { results: [output, q.grad!, k.grad!, v.grad!].map(numbers), calls: Number(/\d+/.exec(line)![0]) };
      } finally {
        ops.ask_host_plugin(false);
        ops.plugin_forget();
      }
    };
    const inputs = [0, 1, 2].map(() => doubles(draw.normals(270 * 8), [270, 8]).to('float32'));
    const variance = doubles(
      draw.normals(270 * 2).map((x) => x * x),
      [270, 2],
    ).to('float32');
    const [large, desktop, small] = [SHARED.A100, SHARED.desktop, SHARED.unasked].map(attended);
    // Three calls ask for limits and compute in both directions; then the backward pass, and last the forward pass is LibTorch's.
    expect(large!.calls).toBeGreaterThan(desktop!.calls);
    expect(desktop!.calls).toBeGreaterThan(small!.calls);
    for (const { results } of [desktop!, small!])
      results.forEach((result, i) =>
        result.forEach((x, at) => expect(Math.abs(x - large!.results[i]![at]!)).toBeLessThan(1e-5)),
      );
  });
} else {
  console.warn(`SKIPPED: the limits of devices on the host executor. ${missing}.`);
  test.skip(`0 limits of devices were tested: ${missing}`, () => undefined);
}
