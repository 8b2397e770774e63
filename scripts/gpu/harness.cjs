// A small stand-in for Jest on machines without npm packages: describe, test and the matchers that the CUDA laws use.
//
// Usage: node scripts/gpu/harness.cjs SUITE.js RESULT.json [NAME]   (SUITE.js as scripts/gpu/pack.mjs compiled it)
// Runs the tests whose name begins with NAME. RESULT.json says before each one what runs: a crash leaves a trace.
'use strict';
const { writeFileSync } = require('node:fs');
const { resolve } = require('node:path');
const { isDeepStrictEqual, format } = require('node:util');

const [suite, result, beginning = ''] = process.argv.slice(2);
const tests = [];
const names = [];
let current = '';

globalThis.describe = (name, body) => {
  names.push(name);
  body();
  names.pop();
};
const named = (name) => [...names, name].join(' ');
globalThis.test = (name, body) => tests.push({ name: named(name), body });
globalThis.test.skip = (name) => tests.push({ name: named(name), body: null });
globalThis.test.each = (rows) => (name, body) => {
  for (const row of rows.map((one) => (Array.isArray(one) ? one : [one]))) {
    const places = (name.match(/%[sd]/g) ?? []).length;
    globalThis.test(format(name, ...row.slice(0, places)), () => body(...row));
  }
};

// Jest's toEqual takes a typed array and an array of another realm for equal when their elements are.
const plain = (value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
const MATCHERS = {
  toBe: (got, want) => Object.is(got, want),
  toEqual: (got, want) => isDeepStrictEqual(plain(got), plain(want)),
  toBeLessThan: (got, want) => got < want,
  toBeLessThanOrEqual: (got, want) => got <= want,
  toBeGreaterThan: (got, want) => got > want,
  toBeGreaterThanOrEqual: (got, want) => got >= want,
  toBeNaN: (got) => Number.isNaN(got),
  toBeCloseTo: (got, want, digits = 2) => Math.abs(got - want) < 10 ** -digits / 2,
  toContain: (got, want) => got.includes(want),
  toThrow: (got, want) => {
    try {
      got();
      return false;
    } catch (error) {
      return want.test(error.message);
    }
  },
};
globalThis.expect = (got) =>
  Object.fromEntries(
    Object.entries(MATCHERS).map(([name, holds]) => [
      name,
      (...want) => {
        if (!holds(got, ...want)) throw new Error(format('expected %o %s %o', plain(got), name, ...want.map(plain)));
      },
    ]),
  );
globalThis.expect.getState = () => ({ currentTestName: current });

const state = { passed: 0, failed: 0, skipped: 0, failures: [] };
const write = (more) => writeFileSync(result, `${JSON.stringify({ ...state, ...more }, null, 2)}\n`);
const failed = (name, { message }) => {
  state.failed += 1;
  state.failures.push({ name, message: String(message).slice(0, 2000) });
  console.log(`FAIL ${name}\n  ${String(message).slice(0, 500)}`);
};

// Opening the suite compiles the host executor and opens LibTorch, its CUDA libraries and the plugin.
write({ running: 'opening the suite' });
try {
  require(resolve(suite));
} catch (error) {
  failed(`opening ${suite}`, error);
}

for (const { name, body } of tests) {
  if (!name.startsWith(beginning) && body !== null) continue;
  if (body === null) {
    state.skipped += 1;
    continue;
  }
  current = name;
  write({ running: name });
  const started = Date.now();
  try {
    body();
    state.passed += 1;
    console.log(`ok ${name} (${Date.now() - started} ms)`);
  } catch (error) {
    failed(name, error);
  }
}
write();
console.log(`${state.passed} passed, ${state.failed} failed, ${state.skipped} skipped`);
process.exitCode = state.failed > 0 || state.passed === 0 ? 1 : 0;
