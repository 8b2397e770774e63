// Jest reporter: ends the output with `N passed, N failed`, alone on its line.
'use strict';

module.exports = class ClosingLine {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    // Checks that ran before Jest (lint, types), as scripts/test.mjs counted them.
    const [passed = 0, failed = 0] = (process.env.PHANTOMGRAD_CHECKS ?? '').split(',').map(Number);
    this.line = `${numPassedTests + passed} passed, ${numFailedTests + numRuntimeErrorTestSuites + failed} failed`;
    // After everything that other reporters and late handlers still write.
    process.once('exit', () => process.stdout.write(`\n${this.line}\n`));
  }
};
