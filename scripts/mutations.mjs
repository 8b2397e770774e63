// npm run mutations: makes deliberate mistakes in a scratch copy, one at a time, and says which tests see each.
//   node scripts/mutations.mjs --check      only that each can still be made; part of `npm run lint`
//   node scripts/mutations.mjs [word …]     only mistakes whose name contains one of the words
// Exit 1 when a mistake goes unseen: then a test is missing.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { mutations } from './mutations/list.mjs';
import { setup } from './setup.mjs';
import { main } from './shell.mjs';
import { root } from './stamp.mjs';

const scratch = join(root, '.setup', 'mutations');

/** The files of the working tree that git knows. Only what differs is written: the rest need not be compiled again. */
function copyTree() {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
  for (const file of files) {
    const [from, to] = [join(root, file), join(scratch, file)];
    if (!existsSync(from)) continue;
    const content = readFileSync(from);
    if (existsSync(to) && readFileSync(to).equals(content)) continue;
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, content);
  }
  if (!existsSync(join(scratch, 'node_modules')))
    symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
}

function build(env) {
  const run = spawnSync(process.execPath, ['scripts/build-native.mjs', '-D', 'PHANTOMGRAD_UNITY=OFF'], {
    cwd: scratch,
    env,
    encoding: 'utf8',
  });
  return run.status === 0 ? null : run.stdout + run.stderr;
}

/** Names of the failing tests, by suite; a suite that does not even load counts as seeing the mistake. */
function failures(tests, env) {
  const out = join(scratch, '.mutation.json');
  spawnSync(
    process.execPath,
    [
      'node_modules/jest/bin/jest.js',
      ...tests,
      '--testPathIgnorePatterns',
      'soak',
      'exits',
      'accounting',
      '--json',
      `--outputFile=${out}`,
    ],
    { cwd: scratch, env, stdio: 'ignore' },
  );
  const { testResults } = JSON.parse(readFileSync(out, 'utf8'));
  return testResults
    .filter(({ status }) => status === 'failed')
    .map(({ name, assertionResults }) => ({
      suite: basename(name),
      tests: assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
    }));
}

/** A mistake whose line was rewritten can no longer be made, and would silently be none. */
function checkPlaces(chosen) {
  for (const { name, file, from } of chosen)
    if (!readFileSync(join(root, file), 'utf8').includes(from))
      throw new Error(`mutation «${name}»: ${file} does not contain «${from}».`);
}

await main(async () => {
  const words = process.argv.slice(2);
  if (words.includes('--check')) return checkPlaces(mutations);
  const env = { ...process.env, LIBTORCH: await setup() };
  const chosen = mutations.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  if (chosen.length === 0) throw new Error(`no mistake has one of these words in its name: ${words.join(' ')}.`);
  checkPlaces(chosen);
  copyTree();
  const broken = build(env);
  if (broken !== null) throw new Error(`the unchanged copy does not build:\n${broken}`);
  const red = failures([...new Set(chosen.flatMap(({ tests }) => tests))], env);
  if (red.length > 0) throw new Error(`the unchanged copy fails in ${red.map(({ suite }) => suite).join(', ')}.`);
  const unseen = [];
  for (const { name, file, from, to, tests } of chosen) {
    const path = join(scratch, file);
    const before = readFileSync(path, 'utf8');
    writeFileSync(
      path,
      before.replace(from, () => to),
    );
    const complaint = file.startsWith('csrc/') ? build(env) : null;
    const seen = complaint === null ? failures(tests, env) : [];
    writeFileSync(path, before);
    console.log(`\n${name} (${file})`);
    if (complaint !== null)
      console.log(`  does not compile: ${complaint.split('\n').find((line) => line.includes('error')) ?? ''}`);
    for (const { suite, tests: failed } of seen)
      console.log(`  ${suite}: ${failed.length}, first «${failed[0] ?? 'does not load'}»`);
    if (seen.length === 0) unseen.push(name);
  }
  build(env);
  console.log(`\n${chosen.length - unseen.length} of ${chosen.length} mistakes are seen.`);
  if (unseen.length > 0) {
    console.log(`Not seen: ${unseen.join('; ')}.`);
    process.exitCode = 1;
  }
});
