// One process at a time trains from a checkpoint: two of them would each charge the ledger without the other's steps.

import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { raise } from '../../errors';

export const LOCK_FILE = 'lock';
const held = new Set<string>(); // marks of this process: another process may have had its number before

/** What the file says: a mark of its own, the machine, the process and when that process began. */
export function lockMark(): { readonly mark: string; readonly text: string } {
  const mark = randomUUID();
  return { mark, text: `${mark} ${hostname()} ${process.pid} ${began(process.pid)}\n` };
}

export class FolderLock {
  private constructor(
    private readonly path: string,
    private readonly mark: string,
  ) {
    held.add(mark);
  }

  /** Takes over a lock file that was made together with its folder. */
  static made(folder: string, mark: string): FolderLock {
    return new FolderLock(join(folder, LOCK_FILE), mark);
  }

  /** @throws ERR_CHECKPOINT_BUSY while another process holds it; ERR_CHECKPOINT_WRITE when the folder cannot be written. */
  static take(folder: string): FolderLock {
    const path = join(folder, LOCK_FILE);
    const { mark, text } = lockMark();
    for (;;) {
      const whole = `${path}.${mark}`; // written first, named then: nobody sees an empty lock
      try {
        writeFileSync(whole, text);
        linkSync(whole, path);
        return new FolderLock(path, mark);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
          return raise('ERR_CHECKPOINT_WRITE', `${path}: cannot be written: ${(error as Error).message}.`, error);
        }
      } finally {
        discard(whole);
      }
      removeStale(path);
    }
  }

  /** Releases it. */
  release(): void {
    if (!held.delete(this.mark)) return;
    if (read(this.path)?.mark === this.mark) discard(this.path);
  }
}

interface Holder {
  readonly mark: string;
  readonly host: string;
  readonly pid: number;
  readonly began: string;
}

function read(path: string): Holder | null {
  try {
    const [mark = '', host = '', pid, start = ''] = readFileSync(path, 'utf8').trim().split(' ');
    return { mark, host, pid: Number(pid), began: start };
  } catch {
    return null;
  }
}

// Renaming is atomic: of several processes that see the same dead holder, one moves its file away; a file that changed hands in
// between goes back to where it was.
function removeStale(path: string): void {
  const holder = read(path);
  if (holder === null) return;
  if (!stale(holder)) {
    raise(
      'ERR_CHECKPOINT_BUSY',
      `${path}: process ${holder.pid} on ${holder.host} trains from this checkpoint. Wait for its end; if it is gone for good, remove this file.`,
    );
  }
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (read(aside)?.mark !== holder.mark) linkSync(aside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EEXIST') {
      raise('ERR_CHECKPOINT_WRITE', `${path}: cannot be removed: ${(error as Error).message}.`, error);
    }
  } finally {
    discard(aside);
  }
}

// What cannot be removed does no harm: a lock of a process that is gone counts for nothing.
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // as said
  }
}

// A process number means something on its own machine only.
function stale({ mark, host, pid, began: start }: Holder): boolean {
  if (host !== hostname()) return false;
  if (pid === process.pid) return !held.has(mark);
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EPERM';
  }
  return start !== began(pid);
}

/** When a process began, in ticks since the machine started; «-» where the system does not say. */
function began(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
  } catch {
    return '-';
  }
}
