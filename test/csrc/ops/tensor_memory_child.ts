// Every second of many tensors of one size is freed and allocated again: prints how much more memory the process holds.
// A child process of tensor_memory.test.ts.

import { keep, ones, tidy, type Tensor } from '../../../lib/tensor';

const BYTES = 3 * 2 ** 20;
const fill = (): Tensor => keep(ones([BYTES / 4]));

// From now on the C library keeps what is freed of blocks up to this size, instead of giving it back to the system.
tidy(() => void ones([6 * 2 ** 20]));
const held = Array.from({ length: 64 }, fill);
const freed = held.filter((_, k) => k % 2 === 1);
freed.forEach((tensor) => tensor.dispose());
const before = process.memoryUsage.rss();
const again = freed.map(fill);
const grown = process.memoryUsage.rss() - before;
console.log(JSON.stringify({ grown, allocated: again.length * BYTES }));
