// Lets one process at a time do a job on shared files. Plain JavaScript: the set-up needs it before anything is compiled.
'use strict';

const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const { hostname } = require('node:os');
const { dirname } = require('node:path');

const HEARTBEAT_MS = 5_000;
const STALE_MS = 60_000;
const POLL_MS = 250;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

// Who holds the lock, or null when nobody does. A file that another process is just writing reads as a holder.
function holder(path) {
  try {
    const age = Date.now() - fs.statSync(path).mtimeMs;
    const text = fs.readFileSync(path, 'utf8');
    const [token, host, pid] = text.split(' ');
    // A process number means something on its own host only; elsewhere (shared folders) the heartbeat decides.
    const dead = host === hostname() && !alive(Number(pid));
    return { token, pid: Number(pid), stale: dead || age > STALE_MS };
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
}

function tryTake(path, token) {
  try {
    fs.writeFileSync(path, `${token} ${hostname()} ${process.pid}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

// Renaming is atomic: of several processes that see the same dead holder, one moves its file away. If the file changed
// hands in between, it goes back to where it was.
function removeStale(path, token) {
  const aside = `${path}.${randomUUID()}`;
  try {
    fs.renameSync(path, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (!fs.readFileSync(aside, 'utf8').startsWith(token)) {
    try {
      fs.linkSync(aside, path);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
  fs.rmSync(aside);
}

/**
 * Runs `action` while this process holds the lock file `path`, and waits for its turn.
 * A holder that died (or did not beat for a minute) loses the lock.
 *
 * @template T
 * @param {string} path
 * @param {() => T | Promise<T>} action
 * @param {{ onWait?: (pid: number) => void }} [options] `onWait` is called once when another process holds the lock.
 * @returns {Promise<T>}
 */
async function withLock(path, action, { onWait } = {}) {
  fs.mkdirSync(dirname(path), { recursive: true });
  const token = randomUUID();
  let told = false;
  while (!tryTake(path, token)) {
    const other = holder(path);
    if (other === null) continue;
    if (other.stale) {
      removeStale(path, other.token);
      continue;
    }
    if (!told) onWait?.(other.pid);
    told = true;
    await sleep(POLL_MS);
  }
  const heartbeat = setInterval(() => {
    try {
      const now = new Date();
      fs.utimesSync(path, now, now);
    } catch {
      // The folder may be gone; then there is nothing left to guard.
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await action();
  } finally {
    clearInterval(heartbeat);
    if (holder(path)?.token === token) fs.rmSync(path, { force: true });
  }
}

module.exports = { withLock };
