// Times each CUDA kernel on the GPU at the shapes of a recommender.
//
// Usage: node scripts/gpu/bench.cjs RESULT.json   (written anew after each kernel: one that fails leaves the others their times)
'use strict';
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { performance } = require('node:perf_hooks');

const root = join(__dirname, '..', '..');
const result = process.argv[2];
const { gpuKit } = require(join(root, 'test', 'csrc', 'cuda', 'kit.js'));
const { fromTypedArray, full, torch } = require(join(root, 'lib', 'tensor', 'index.js'));

const kit = gpuKit();
const ops = kit.kernels;
const on = (shape, dtype = 'float32') => kit.on(torch.ops.aten.randn(shape, { dtype: 'float32' }).to(dtype));
const filled = (shape, value, dtype = 'float64') => kit.on(full(shape, value, { dtype }));
const longs = (values) => kit.on(fromTypedArray(BigInt64Array.from(values, BigInt), [values.length]));

// MovieLens-1M's width and vocabulary, 256 samples of 200 rows.
const [B, T, d, M] = [256, 200, 64, 3416];
const N = B * T;
const offsets = longs(Array.from({ length: B + 1 }, (_, b) => b * T));

/** What is timed: a call, and the floating operations or bytes that it is for. */
function cases() {
  const list = [];
  const count = 10_000_000;
  const [p, m, v] = [0, 1, 2].map(() => filled([count], 0, 'float32'));
  const sum = filled([count], 0);
  const stream = kit.on(
    fromTypedArray(
      Int32Array.from({ length: 11 }, (_, i) => 17 * i),
      [11],
    ),
  );
  const found = filled([Number(ops.private_adam_blocks(count))], 0, 'int64');
  for (const noise of [0, 1])
    list.push({
      name: `private_adam_, 10 M parameters, ${noise === 0 ? 'no noise' : 'noise'}`,
      bytes: count * (6 * 4 + 2 * 8),
      call: () =>
        ops.private_adam_(
          p, m, v, sum, stream, noise, noise * 2 ** -8, 64, 0.9, 0.999, 1e-8, 1e-3, 1, 1, 0, 0, 0, null, null, null, found,
        ), // prettier-ignore
    });
  for (const [name, width] of [
    ['qkv 64 x 192', 192],
    ['fc 64 x 256', 256],
  ]) {
    const [a, g] = [on([N, d]), on([N, width])];
    const work = filled([Number(ops.ghost_norm_workspace(B, T, d, width))], 0);
    const [norm2, bound, exact] = [filled([B], 0), filled([B], 0), filled([B], 0, 'uint8')];
    for (const gram of [true, false])
      list.push({
        name: `ghost_norm_ ${gram ? 'Gram' : 'direct'}, ${name}`,
        flops: gram ? B * T * T * (d + width) : 2 * N * d * width,
        call: () => ops.ghost_norm_(a, g, offsets, gram, false, T, 0.008, work, norm2, bound, exact),
      });
    const splits = 32;
    const [factors, parts, total] = [filled([B], 0.5), filled([splits * width * d], 0), filled([width, d], 0)];
    const none = filled([B], 0, 'uint8');
    list.push({
      name: `clipped_sum_, ${name}`,
      flops: 2 * N * d * width,
      call: () => ops.clipped_sum_(a, g, factors, offsets, none, splits, parts, total),
    });
  }
  const [hidden, table] = [on([N, d]), on([M, d])];
  const targets = longs(Array.from({ length: N }, (_, t) => (t * 7919) % M));
  const head = [hidden, table, null, null, targets, filled([N], 1, 'float32'), offsets, M, 0];
  const [lse, loss, dHidden, squares] = [
    filled([N], 0, 'float32'),
    filled([N], 0),
    filled([N, d], 0, 'float32'),
    filled([N], 0),
  ];
  const work = filled([Number(ops.head_forward_workspace(N, d, 1))], 0);
  const forward = () => ops.head_forward_(...head, 1, 1, work, lse, loss, dHidden, squares);
  list.push({ name: `head_forward_ (lse, loss, dH), M = ${M}`, flops: 6 * N * M * d, call: forward });
  const normWork = filled([Number(ops.head_norm_workspace(B, M, d, T))], 0);
  const [norm2, bound, failed] = [filled([B], 0), filled([B], 0), filled([B], 0, 'uint8')];
  const inputs = [targets, dHidden, offsets, filled([B], 1), 1, -1, T];
  list.push({
    name: 'head_norm_, tied (with the cross term)',
    flops: 4 * N * M * d + 4 * B * T * T * d,
    call: () => ops.head_norm_(...head, lse, squares, ...inputs, 0.008, normWork, norm2, bound, failed),
  });
  const [parts, total, factors] = [filled([4 * M * d], 0), filled([M, d], 0), filled([B], 0.5)];
  list.push({
    name: 'head_sum_',
    flops: 4 * N * M * d,
    call: () => ops.head_sum_(...head, lse, factors, 4, parts, total),
  });
  const [q, k, value, output] = [0, 1, 2, 3].map(() => on([N, d]));
  const rows = filled([N], 0, 'float32');
  list.push({
    name: 're_attention_forward_, causal',
    flops: 2 * B * T * T * d,
    call: () =>
      ops.re_attention_forward_(
        q, k, value, offsets, 1, T, true, 0, null, 0, null, null, Infinity, output, rows, null, null,
      ), // prettier-ignore
  });
  return list;
}

const read = (t) => kit.back(t).toTypedArray();
const flag = filled([1], 0);
// Reading one number waits for everything that was launched before it.
function seconds(call, repeats) {
  read(flag);
  const start = performance.now();
  for (let i = 0; i < repeats; i++) call();
  read(flag);
  return (performance.now() - start) / 1e3 / repeats;
}

const shape = `B = ${B} samples of ${T} rows, width ${d}. Median of 7 runs; a call includes its launches.`;
const timed = [];
for (const { name, flops, bytes, call } of cases()) {
  try {
    call();
    const once = seconds(call, 1);
    const repeats = Math.max(1, Math.min(100, Math.ceil(0.2 / once)));
    const runs = Array.from({ length: 7 }, () => seconds(call, repeats)).sort((x, y) => x - y);
    const [median, least, most] = [runs[3], runs[0], runs[6]];
    const rate =
      flops === undefined
        ? `${(bytes / median / 1e9).toFixed(0)} GB/s`
        : `${(flops / median / 1e12).toFixed(2)} TFLOP/s`;
    timed.push({ name, microseconds: median * 1e6, least: least * 1e6, most: most * 1e6, rate });
    console.log(`${name}: ${(median * 1e6).toFixed(0)} µs, ${rate}`);
  } catch (error) {
    timed.push({ name, error: String(error.message).slice(0, 500) });
    console.log(`FAIL ${name}: ${String(error.message).slice(0, 500)}`);
    process.exitCode = 1;
  }
  writeFileSync(result, `${JSON.stringify({ shape, timed }, null, 2)}\n`);
}
