// Unpacks the members of a wheel that are kept. With Python's zipfile: pip needs Python anyway, Node has no zip reader.

import { spawn } from 'node:child_process';

import { raise } from '../errors';

const PROGRAM = `
import re, sys, zipfile
wheel, folder, *keep = sys.argv[1:]
pattern = re.compile('|'.join('(?:%s)' % k for k in keep))
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if not member.is_dir() and pattern.fullmatch(member.filename):
            archive.extract(member, folder)
`;

/**
 * Extracts the members of `wheel` whose whole path matches one of the regular expressions `keep` into `folder`.
 * Python refuses member names that lead out of the folder.
 *
 * @throws ERR_DOWNLOAD the archive is damaged or the disk is full.
 */
export async function unpack(python: string, wheel: string, folder: string, keep: readonly string[]): Promise<void> {
  const child = spawn(python, ['-c', PROGRAM, wheel, folder, ...keep], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-1000);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (status !== 0) raise('ERR_DOWNLOAD', `${wheel} could not be unpacked into ${folder}:\n${said.trim()}`);
}
