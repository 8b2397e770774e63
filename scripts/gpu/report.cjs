// Puts together what the steps of scripts/gpu.sh left behind, whole or not: report.json and report.md.
//
// Usage: node scripts/gpu/report.cjs WORK OUT
'use strict';
const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const [work, out] = process.argv.slice(2);
const root = join(__dirname, '..', '..');
const text = (command, args) => (spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '').trim();
const linesOf = (path) =>
  existsSync(path) && readFileSync(path, 'utf8') !== '' ? readFileSync(path, 'utf8').trim().split('\n') : [];

// A process that was killed while it wrote leaves half a file.
function parsed(file) {
  try {
    return JSON.parse(readFileSync(join(work, file), 'utf8'));
  } catch {
    return { passed: 0, failed: 0, failures: [], running: `an unfinished ${file}` };
  }
}

const [commit = 'unknown'] = linesOf(join(root, 'COMMIT'));
const [device = 'no GPU', driver = 'none'] = text('nvidia-smi', [
  '--query-gpu=name,driver_version',
  '--format=csv,noheader',
])
  .split('\n')[0]
  .split(', ')
  .filter((part) => part !== '');
const laws = Object.fromEntries(
  readdirSync(work)
    .map((file) => /^laws-(\w+)\.json$/.exec(file))
    .filter((match) => match !== null)
    .map(([file, name]) => [name, parsed(file)]),
);
const bench = existsSync(join(work, 'bench.json')) ? parsed('bench.json') : null;
const sanitizers = linesOf(join(work, 'sanitizers.txt'));
const report = { device, driver, commit, date: new Date().toISOString(), laws, sanitizers, ...bench };
writeFileSync(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);

const rows = Object.entries(laws).map(([name, { passed, failed, running }]) => {
  const end = running === undefined ? '' : `did not get beyond: ${running}`;
  return `| ${name.replaceAll('_', ' ')} | ${passed} | ${failed} | ${end} |`;
});
const failures = Object.values(laws).flatMap((one) => one.failures);
const times = (bench?.timed ?? []).map(({ name, error, microseconds, least, most, rate }) =>
  error === undefined
    ? `| ${name} | ${microseconds.toFixed(0)} | ${least.toFixed(0)}–${most.toFixed(0)} | ${rate} |`
    : `| ${name} | failed | | ${error.split('\n')[0]} |`,
);
const part = (title, lines) => (lines.length === 0 ? [`No ${title}: not run.`, ''] : [...lines, '']);
writeFileSync(
  join(out, 'report.md'),
  [
    ...[`# CUDA kernels on ${device}`, '', `Driver ${driver}, commit ${commit}, ${report.date}.`, ''],
    ...part('laws', rows.length === 0 ? [] : ['| laws | passed | failed | |', '| --- | --- | --- | --- |', ...rows]),
    ...failures.flatMap(({ name, message }) => [`- ${name}: ${message.split('\n')[0]}`]),
    ...(failures.length === 0 ? [] : ['']),
    ...part(
      'sanitizers',
      sanitizers.map((line) => `    ${line}`),
    ),
    ...part(
      'times',
      times.length === 0
        ? []
        : [bench.shape, '', '| call | µs | least–most | rate |', '| --- | --- | --- | --- |', ...times],
    ),
  ].join('\n'),
);
console.log(readFileSync(join(out, 'report.md'), 'utf8'));
