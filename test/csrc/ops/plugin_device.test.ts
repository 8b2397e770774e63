// The truth tests of the operators a third time, with the CUDA plugin's kernels doing the work: the same sources on the host executor,
// reached through the door that a GPU's tensors go through.

import { torch } from '../../../lib/tensor';
import { hostKit, hostMissing } from '../cuda/kit';
import type * as Truth from './truth';
import { truthTests } from './truth';

jest.mock('@fast-check/jest', () => jest.requireActual<typeof Truth>('./truth').fewCases());

/** Laws about the residual rows that a head stores. Swept heads store none; what they promise instead is in plugin_head.test.ts. */
const OF_STORED_ROWS = [
  'a target predicted with a margin of %d is certified on the residuals as they are stored',
  'float32 norms are within 1e-5 of float64 on the same stored factors, and the bound within 1 % above',
];

/** No kernel of the plugin takes part: any_device.test.ts says it all. */
const NOT_HOOKED = ['./dropout.test', './variance.test'];

const ops = torch.ops.phantomgrad;
const missing = hostMissing();

if (missing === null) {
  hostKit();
  describe("with the plugin's kernels", () => {
    beforeAll(() => {
      ops.ask_host_plugin(true);
      ops.plugin_forget();
    });
    afterAll(() => ops.ask_host_plugin(false));
    truthTests([...OF_STORED_ROWS, ...NOT_HOOKED]);

    test('every family was asked, agreed with LibTorch, and worked', () => {
      for (const line of ops.plugin_report()) expect(line).toMatch(/: [1-9]\d* calls; cpu in use$/);
    });
  });
} else {
  console.warn(`SKIPPED: the truth tests with the CUDA plugin's kernels. ${missing}.`);
  test.skip(`0 truth tests ran with the plugin's kernels: ${missing}`, () => undefined);
}
