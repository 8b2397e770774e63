// The truth tests of the operators once more, with LibTorch's own operators doing the work: what a device without kernels of ours gets.
// They are the same files, required a second time while prefer_any_device(true) holds.

import type * as FastCheck from '@fast-check/jest';

import { torch } from '../../../lib/tensor';

/** Every kind of use, every pair of kinds, certificates, attribution, dropout, noise propagation, the private update. */
const TRUTH = [
  './norms_linear.test',
  './norms_embedding.test',
  './norms_layernorm.test',
  './norms_tied.test',
  './norms_tied_model.test',
  './norms_three_uses.test',
  './norms_cancellation.test',
  './clipped_sums.test',
  './certificate.test',
  './sharing.test',
  './attribution.test',
  './laws.test',
  './dropout.test',
  './twin_linear.test',
  './twin_embedding.test',
  './twin_layer_norm.test',
  './twin_softmax_head.test',
  './twin_attention.test',
  './twin_re_attention.test',
  './variance.test',
  '../private_update_profile.test',
  '../privatise.test',
];

// Generated cases of each property: fewer than where kernels are tested, because the cases are the same.
const CASES = 3;

/** Not repeated. */
const LEFT_OUT = [
  // A promise of kernels: LibTorch's products round a row as the shape of the whole batch has it.
  'a sample alone has the bits that it has in a batch',
  // Statistics of formulas that the twins above are compared with anyway.
  'numerators are unbiased: exp(z - v/2) over noisy keys has the mean exp of the clean logit',
  'the second order brings the mean weights nearer to the clean ones than no correction, where one key dominates',
  'a linear layer of noisy weights, bias and inputs has the variance that the rule says, drawn 5,000 times',
];

jest.mock('@fast-check/jest', () => {
  const actual = jest.requireActual<typeof FastCheck>('@fast-check/jest');
  const prop = (arbitraries: never, parameters: { numRuns?: number } = {}): unknown => {
    const named = actual.test.prop(arbitraries, {
      ...parameters,
      numRuns: Math.min(parameters.numRuns ?? CASES, CASES),
    });
    return (name: string, law: never): void => {
      if (!LEFT_OUT.includes(name)) named(name, law);
    };
  };
  return { ...actual, test: Object.assign(actual.test.bind(null), actual.test, { prop }) };
});

const { prefer_any_device: preferAnyDevice } = torch.ops.phantomgrad;

const every = globalThis.test;
const most = ((name: string, ...rest: [never]) => {
  if (!LEFT_OUT.includes(name)) every(name, ...rest);
}) as typeof every;

describe('without kernels of ours', () => {
  beforeAll(() => preferAnyDevice(true));
  afterAll(() => preferAnyDevice(false));

  describe.each(TRUTH)('%s', (file) => {
    globalThis.test = Object.assign(most, every);
    jest.requireActual(file);
    globalThis.test = every;
  });
});
