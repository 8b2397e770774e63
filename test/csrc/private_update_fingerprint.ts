// Runs noise and private updates on fixed inputs and prints a digest of all resulting bits: same digest, same bits.
// A child process of private_update_determinism.test.ts; the environment chooses the instruction set, argv the threads.

import { createHash } from 'node:crypto';

import { fromTypedArray, setNumThreads, type Tensor, torch } from '../../lib/tensor';
import { normals, withSource } from './noise_support';

const ops = torch.ops.phantomgrad;
const COUNT = 50_021; // many tiles, several threads' worth, and a cut one

setNumThreads(Number(process.argv[2]));
const hash = createHash('sha256');
const take = (tensor: Tensor): void => void hash.update(tensor.toTypedArray());

withSource(1, (id) => hash.update(normals(id, COUNT)));
for (const dtype of ['float32', 'float64'] as const) {
  const wave = (scale: number, shift: number): Tensor =>
    fromTypedArray(
      Float64Array.from({ length: COUNT }, (_, i) => scale * (shift + ((i * 7919) % 1009) / 1009)),
      [COUNT],
    );
  for (const noiseStd of [0, 1.7]) {
    const [p, m, v] = [wave(2, -0.5).to(dtype), wave(0.1, -0.5).to(dtype), wave(0.01, 0.1).to(dtype)];
    const sum = wave(10, -0.4);
    withSource(2, (id) => {
      for (let step = 1; step <= 3; step++) {
        sum.add_(wave(10, -0.4));
        ops.private_adam_(
          p,
          m,
          v,
          sum,
          id,
          noiseStd,
          noiseStd === 0 ? 0 : 2 ** -8,
          64,
          1e-3,
          0.9,
          0.999,
          1e-8,
          1e-2,
          step === 2,
          step,
        );
      }
      [p, m, v].forEach(take);
      sum.add_(wave(10, -0.4));
      take(ops.privatise_(sum, id, noiseStd, noiseStd === 0 ? 0 : 2 ** -8, 64));
    });
  }
}
console.log(hash.digest('hex'));
