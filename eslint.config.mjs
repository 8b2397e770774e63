// Typed lint rules, and who may import whom (docs: the layers of lib/).
import tseslint from 'typescript-eslint';

// A folder may import from itself, from its own level and from lower levels; FORBIDDEN lists the exceptions.
const LEVELS = [['native'], ['tensor'], ['nn', 'optim', 'privacy'], ['models', 'data', 'report'], ['tasks'], ['cli']];
const FORBIDDEN = {
  // A model does not know whether it is trained privately; the engine does not know which model it trains.
  models: ['privacy'],
  privacy: ['models'],
  nn: ['privacy', 'optim'],
  optim: ['privacy'],
};

function restricted(folder, level) {
  const above = LEVELS.slice(level + 1).flat();
  const names = [...new Set([...above, ...(FORBIDDEN[folder] ?? [])])];
  const patterns = [
    { regex: '^(\\.\\./)+index$', message: 'lib/index.ts is for users; import the room that you need.' },
    ...(names.length === 0
      ? []
      : [{ regex: `^(\\.\\./)+(${names.join('|')})(/|$)`, message: `lib/${folder} must not know this room.` }]),
  ];
  return {
    files: [`lib/${folder}/**`],
    rules: { 'no-restricted-imports': ['error', { patterns }] },
  };
}

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'build/',
      '.cmake*/',
      '.setup/',
      'prebuilds/',
      'types/',
      'test/fixtures/',
      '**/fixtures/',
      'runs/',
    ],
  },
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts', '**/*.mts'] })),
  {
    files: ['**/*.ts', '**/*.mts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // Indices that a loop has just bounded are asserted with `!`; noUncheckedIndexedAccess asks at every other place.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // Public functions check what JavaScript callers hand over, also where the types say it cannot be.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // Numeric kernels read better with plain loops over several arrays.
      '@typescript-eslint/prefer-for-of': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  ...LEVELS.flatMap((folders, level) => folders.map((folder) => restricted(folder, level))),
  {
    // Accounting is pure arithmetic: anyone may check it without the rest of the library.
    files: ['lib/privacy/accounting/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: '^\\.\\./(?!\\.\\./(errors|check)$)', message: 'accounting imports errors.ts and check.ts only.' },
          ],
        },
      ],
    },
  },
  { files: ['lib/cli/**', 'examples/**'], rules: { 'no-console': 'off' } },
  {
    // Tests look into things, and hand over wrong types on purpose.
    files: ['test/**'],
    rules: {
      'no-console': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
