// A small stand-in for Jest on machines without npm packages: describe, test and the matchers that the CUDA laws use.
//
// Usage: node scripts/gpu/harness.cjs SUITE.js RESULT.json [PATTERN]   (SUITE.js as scripts/gpu/pack.mjs compiled it)
'use strict';
const { writeFileSync } = require('node:fs');
const { resolve } = require('node:path');
const { isDeepStrictEqual, format } = require('node:util');

const [suite, result, pattern = ''] = process.argv.slice(2);
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

require(resolve(suite));

const failures = [];
let passed = 0;
let skipped = 0;
for (const { name, body } of tests) {
  if (body === null) skipped += 1;
  // The last law compares what the others left behind: with a pattern there is nothing to compare.
  else if (!name.includes(pattern) || (pattern !== '' && /has the bits of the host/.test(name))) continue;
  else {
    current = name;
    try {
      body();
      passed += 1;
    } catch (error) {
      failures.push({ name, message: String(error.message).slice(0, 2000) });
      console.error(`FAIL ${name}\n  ${String(error.message).slice(0, 500)}`);
    }
  }
}
writeFileSync(result, `${JSON.stringify({ passed, failed: failures.length, skipped, failures }, null, 2)}\n`);
console.log(`${passed} passed, ${failures.length} failed, ${skipped} skipped`);
process.exitCode = failures.length > 0 || passed === 0 ? 1 : 0;
