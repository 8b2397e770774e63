// Attention on blocks keeps nothing of what it computes on the way but what the backward pass needs.

import { attendInBlocks, attentionBlocks } from '../../../../lib/models/pretrained/attention-blocks';
import { Segments, withSegments } from '../../../../lib/nn';
import { fromTypedArray, memory, ones, tidy } from '../../../../lib/tensor';

const offsets = BigInt64Array.of(0n, 3n, 7n);

test.each([null, { p: 0.5, seed: 1, site: 0 }])('one call leaves one tensor behind (dropout: %j)', (dropout) => {
  tidy(() => {
    const blocks = attentionBlocks(offsets, offsets, false, 'cpu');
    const rows = fromTypedArray(Float32Array.from({ length: 7 * 4 }, (_, k) => Math.sin(k))).view([7, 4]);
    using segments = new Segments(offsets, [5, 9], 0, 0);
    withSegments(segments, () => {
      const attend = () =>
        attendInBlocks(rows, rows, rows, blocks, { heads: 2, scale: 1, bias: ones([1, 2, 4, 4]), dropout });
      attend(); // what layers share is made by the first
      const before = memory().tensors;
      const mixed = attend();
      expect(memory().tensors).toBe(before + 2); // with the bias, which is not its own
      expect(mixed.shape).toEqual([7, 4]);
    });
  });
});
