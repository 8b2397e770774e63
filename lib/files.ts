// Files and folders that appear as a whole or not at all, whatever ends the process meanwhile.

import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Writes beside `path`, flushes to disk, then renames: a reader sees the old content or the new one, never a part.
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  try {
    const file = await open(part, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Flushes the names in a folder: without it a power failure may forget a rename. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** {@link replaceFile} for code that must not give way to anything else before the content is on disk. */
export function replaceFileSync(path: string, content: string | Uint8Array): void {
  const part = `${path}.${process.pid}.part`;
  try {
    writeNewSync(part, content);
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
  syncFolderSync(dirname(path));
}

/**
 * Makes the folder `path` with `files` and folders of files in it, all at once: it is there complete, or not at all. It is built
 * as `<path>.part`, which replaces what an interrupted process left there.
 *
 * @throws ENOTEMPTY when `path` exists and holds anything, and what else the file system says.
 */
export function createFolderSync(path: string, files: FolderContent): void {
  const part = `${path}.part`;
  try {
    rmSync(part, { recursive: true, force: true });
    fillFolderSync(part, files);
    renameSync(part, path);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw error;
  }
  syncFolderSync(dirname(path));
}

/** Names to content; a nested object is a folder. */
export interface FolderContent {
  readonly [name: string]: string | Uint8Array | FolderContent;
}

/** Takes a folder away: its name first, so that nobody finds half of it. */
export function removeFolderSync(path: string): void {
  const removed = `${path}.removed`;
  rmSync(removed, { recursive: true, force: true });
  renameSync(path, removed);
  syncFolderSync(dirname(path));
  rmSync(removed, { recursive: true, force: true });
}

function fillFolderSync(path: string, files: FolderContent): void {
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) {
    const inside = join(path, name);
    if (typeof content === 'string' || content instanceof Uint8Array) writeNewSync(inside, content);
    else fillFolderSync(inside, content);
  }
  syncFolderSync(path);
}

function writeNewSync(path: string, content: string | Uint8Array): void {
  const file = openSync(path, 'wx');
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolderSync(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
