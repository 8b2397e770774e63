// The truth tests of the operators as a list, to be run again while something else than our CPU kernels does the work.

import type * as FastCheck from '@fast-check/jest';

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

let extra: readonly string[] = [];
const leftOut = (name: string): boolean => LEFT_OUT.includes(name) || extra.includes(name);

/** `@fast-check/jest` with few cases a property. For `jest.mock`. */
export function fewCases(): unknown {
  const actual = jest.requireActual<typeof FastCheck>('@fast-check/jest');
  const prop = (arbitraries: never, parameters: { numRuns?: number } = {}): unknown => {
    const named = actual.test.prop(arbitraries, {
      ...parameters,
      numRuns: Math.min(parameters.numRuns ?? CASES, CASES),
    });
    return (name: string, law: never): void => {
      if (!leftOut(name)) named(name, law);
    };
  };
  return { ...actual, test: Object.assign(actual.test.bind(null), actual.test, { prop }) };
}

/**
 * Declares all of them but for the files and the laws named in `without`. Call it inside a `describe` whose hooks throw the
 * switch.
 */
export function truthTests(without: readonly string[] = []): void {
  const every = globalThis.test;
  const most = ((name: string, ...rest: [never]) => {
    if (!leftOut(name)) every(name, ...rest);
  }) as typeof every;
  const each = ((table: never) => (name: string, law: never) => {
    if (!leftOut(name)) (every.each(table) as (name: string, law: never) => void)(name, law);
  }) as unknown as typeof every.each;
  extra = without;
  describe.each(TRUTH.filter((file) => !without.includes(file)))('%s', (file) => {
    globalThis.test = Object.assign(most, every, { each });
    jest.requireActual(file);
    globalThis.test = every;
  });
}
