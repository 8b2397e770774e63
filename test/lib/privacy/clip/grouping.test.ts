// Laws of grouping: every parameter is in one group, and the groups' thresholds make up C.

import { fc, test as property } from '@fast-check/jest';

import { type GroupAssignment, type GroupSpec, groups, perLayer } from '../../../../lib/privacy';
import { SEEDED } from '../../../csrc/ops/shapes';

const NAMES = [
  'items.weight',
  'blocks.0.qkv.weight',
  'blocks.0.qkv.bias',
  'blocks.0.norm.weight',
  'blocks.01.weight',
  'scale',
];
const refusal = (code: string, part: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(part) as string });
const total = ({ groups: all }: GroupAssignment): number => all.reduce((sum, { share }) => sum + share ** 2, 0);

const path = fc.array(fc.constantFrom('a', 'b', 'blocks', '0', '1', 'weight', 'bias'), { minLength: 1, maxLength: 4 });
const names = fc.uniqueArray(
  path.map((parts) => parts.join('.')),
  { minLength: 1, maxLength: 40 },
);

property.prop([names], { ...SEEDED, numRuns: 200 })(
  'perLayer gives every parameter one of equally large groups, and the squares add up to C²',
  (all) => {
    const assignment = perLayer().assign(all);
    const layer = (name: string): string => name.split('.').slice(0, -1).join('.');
    expect(total(assignment)).toBeCloseTo(1, 14);
    expect(new Set(assignment.groups.map(({ share }) => share)).size).toBe(1);
    expect(new Set(assignment.groupOf)).toEqual(new Set(assignment.groups.keys()));
    all.forEach((a, i) => {
      all.forEach((b, j) => expect(assignment.groupOf[i] === assignment.groupOf[j]).toBe(layer(a) === layer(b)));
    });
  },
);

test('perLayer keeps weight and bias of one layer together, and paths that only begin alike apart', () => {
  const { groups: all, groupOf } = perLayer().assign(NAMES);
  expect(groupOf.map((g) => all[g]!.name)).toEqual([
    'items',
    'blocks.0.qkv',
    'blocks.0.qkv',
    'blocks.0.norm',
    'blocks.01',
    'the model itself',
  ]);
});

test('groups takes whole path parts, in the order given', () => {
  const grouping = groups([['scale', 'items'], ['blocks.0'], ['blocks.01']]);
  expect(grouping.assign(NAMES).groupOf).toEqual([0, 1, 1, 1, 2, 0]);
  expect(grouping.assign(NAMES).groups.map(({ name }) => name)).toEqual(['scale, items', 'blocks.0', 'blocks.01']);
});

const weight = fc.constantFrom(1e-200, 1e-3, 1, 2, 3, 7.5, 1e200);
property.prop([fc.array(weight, { minLength: 1, maxLength: 6 })], { ...SEEDED, numRuns: 100 })(
  'weights divide C in proportion, and the squares add up to C²',
  (weights) => {
    const all = weights.map((_, g) => `layer${g}.weight`);
    const assignment = groups(weights.map((w, g) => ({ prefixes: [`layer${g}`], weight: w }))).assign(all);
    expect(total(assignment)).toBeCloseTo(1, 14);
    const [first] = assignment.groups;
    assignment.groups.forEach(({ share }, g) => {
      expect(share * weights[0]!).toBeCloseTo(first!.share * weights[g]!, 12);
    });
  },
);

test('thresholds of one’s own are weights with C as their norm', () => {
  const own = [3, 4];
  const { groups: all } = groups(own.map((w, g) => ({ prefixes: [`l${g}`], weight: w }))).assign(['l0.w', 'l1.w']);
  all.forEach(({ share }, g) => expect(share * Math.hypot(...own)).toBeCloseTo(own[g]!, 14));
});

test.each<[string, GroupSpec[], string]>([
  ['a parameter in no group', [['items'], ['blocks.0', 'blocks.01']], 'scale'],
  [
    'a parameter in two groups',
    [['items', 'scale'], ['blocks.0', 'blocks.01'], ['blocks.0.qkv']],
    'blocks.0.qkv.weight',
  ],
  ['a group without a parameter', [['items'], ['blocks'], ['scale'], ['head']], '«head»'],
  ['a prefix without a parameter, beside one that has', [['items'], ['blocks', 'block'], ['scale']], '«block»'],
])('%s is refused by name', (_what, specs, named) => {
  expect(() => groups(specs).assign(NAMES)).toThrow(refusal('ERR_PARAMETER_GROUPS', named));
});

test.each<[string, unknown]>([
  ['no groups', []],
  ['a group of nothing', [[]]],
  ['an empty prefix', [['']]],
  ['a prefix that is not a string', [[1]]],
  ['one list instead of lists', ['items']],
  ['a weight of 0', [{ prefixes: ['items'], weight: 0 }]],
  ['a weight that is not finite', [{ prefixes: ['items'], weight: Infinity }]],
  ['an option that nothing reads', [{ prefixes: ['items'], norm: 2 }]],
])('%s is refused where it is written', (_what, specs) => {
  expect(() => groups(specs as GroupSpec[])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
