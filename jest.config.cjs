// Jest: TypeScript through swc (types are checked by tsc), one closing line for machines.
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  // `*.slow.test.ts` belongs to `npm run test:slow`, which sets this variable.
  testPathIgnorePatterns: ['/node_modules/', ...(process.env.PHANTOMGRAD_WIDE === '1' ? [] : ['\\.slow\\.test\\.ts$'])],
  transform: { '^.+\\.[cm]?[jt]s$': '@swc/jest' },
  // Packages that exist as ES modules only.
  transformIgnorePatterns: ['/node_modules/(?!(hyparquet|hyparquet-compressors|hyparquet-writer|hysnappy)/)'],
  setupFiles: ['<rootDir>/test/fixtures/properties.cjs'],
  reporters: ['default', '<rootDir>/scripts/closing-line.cjs'],
  maxWorkers: 2,
  testTimeout: 180_000,
};
