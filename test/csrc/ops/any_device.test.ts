// The truth tests of the operators once more, with LibTorch's own operators doing the work: what a device without kernels of ours gets.
// They are the same files, required a second time while prefer_any_device(true) holds.

import { torch } from '../../../lib/tensor';
import type * as Truth from './truth';
import { truthTests } from './truth';

jest.mock('@fast-check/jest', () => jest.requireActual<typeof Truth>('./truth').fewCases());

const { prefer_any_device: preferAnyDevice } = torch.ops.phantomgrad;

describe('without kernels of ours', () => {
  beforeAll(() => preferAnyDevice(true));
  afterAll(() => preferAnyDevice(false));
  truthTests();
});
