// Completes package-lock.json with the optional packages of other platforms, so that `npm ci` accepts it everywhere.
//
// A registry that lacks some of them makes npm leave them out of the lock silently, and `npm ci` then refuses the lock.
// Run after every change of dependencies: npm run lock:complete (with --check it only reports).
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const file = join(resolve(import.meta.dirname, '..'), 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const processors = ['arm64', 'arm', 'ia32', 'loong64', 'ppc64', 'riscv64', 's390x', 'x64'];

// `@scope/name-linux-arm64-musl` says for which machine a package is; nothing else does while it cannot be seen.
function machineOf(name) {
  const words = name.split('-');
  const libc = /musl/.test(name) ? ['musl'] : /gnu/.test(name) ? ['glibc'] : undefined;
  return {
    cpu: processors.filter((cpu) => words.includes(cpu)),
    ...(libc && { libc }),
    os: systems.filter((os) => words.includes(os)),
  };
}

const added = [];
for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (lock.packages[`node_modules/${name}`] || lock.packages[`${parent}/node_modules/${name}`]) continue;
    const { cpu, libc, os } = machineOf(name);
    if (cpu.length !== 1 || os.length !== 1) continue; // no platform package: npm left it out for another reason
    const entry = { version, cpu, ...(dev && { dev }), ...(libc && { libc }), optional: true, os };
    lock.packages[`node_modules/${name}`] = entry;
    added.push(`${name}@${version}`);
  }
}

if (added.length > 0 && process.argv.includes('--check')) {
  console.error(`package-lock.json lacks ${added.join(', ')}. Run: npm run lock:complete`);
  process.exitCode = 1;
} else if (added.length > 0) {
  const { '': self, ...others } = lock.packages;
  lock.packages = {
    '': self,
    ...Object.fromEntries(Object.entries(others).sort(([a], [b]) => a.localeCompare(b, 'en'))),
  };
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`Added ${added.length} entries: ${added.join(', ')}`);
}
