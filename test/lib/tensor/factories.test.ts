// What makes tensors takes the options that it knows, and no others.

import { arange, empty, full, ones, rand, randn, tensor, zeros } from '../../../lib/tensor';

const unknown = expect.objectContaining({
  code: 'ERR_INVALID_ARGUMENT',
  message: expect.stringContaining('there is no option dtypes'),
});

test('an option that nothing reads is refused', () => {
  const options = { dtypes: 'float64' } as never;
  for (const make of [zeros, ones, empty, randn, rand]) expect(() => make([1], options)).toThrow(unknown);
  expect(() => tensor([1], options)).toThrow(unknown);
  expect(() => full([1], 2, options)).toThrow(unknown);
  expect(() => arange(2, options)).toThrow(unknown);
});

test('only random numbers come from a generator', () => {
  const refused = expect.objectContaining({ message: expect.stringContaining('there is no option generator') });
  expect(() => zeros([1], { generator: null } as never)).toThrow(refused);
});
