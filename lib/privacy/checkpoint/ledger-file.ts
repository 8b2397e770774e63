// ledger.log: what a run has reserved and returned, one record a line, each sealed by the hash of all before it.

import { createHash } from 'node:crypto';

import { raise } from '../../errors';
import { checkEvent, type DpEvent, mergeEvents, sameMechanism, withCount } from '../accounting/events';
import { Ledger, type LedgerRecord } from '../ledger';

/** A mechanism and how often: an event, or releases without noise. */
export interface Charge {
  /** Null for releases without noise. */
  readonly event: DpEvent | null;
  readonly count: number;
}

/** A line of ledger.log. */
export type LedgerLine =
  /** First line: which run this is, and what had been charged before its checkpoint was begun. */
  | { readonly kind: 'open'; readonly run: string; readonly before: LedgerRecord }
  /** Paid for before it is used: from here on it counts, whatever happens. */
  | ({ readonly kind: 'reserve' } & Charge)
  /** A clean end gives back what was not used of the last reservation. */
  | ({ readonly kind: 'return' } & Charge)
  /** The run was continued at `step`; `lost` steps had been paid for since. With a seed when it was repeatable before, or is from here on. */
  | { readonly kind: 'resume'; readonly step: number; readonly lost: number; readonly insecureSeed?: number };

/** Lines with the hash of each: that of the line and of the one before it. */
export interface LedgerChain {
  readonly lines: readonly LedgerLine[];
  readonly hashes: readonly string[];
}

const HEADER = 'phantomgrad ledger 1';

export function hash(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The chain with one line more. */
export function append({ lines, hashes }: LedgerChain, line: LedgerLine): LedgerChain {
  return { lines: [...lines, line], hashes: [...hashes, linkOf(hashes.at(-1), JSON.stringify(line))] };
}

/** Hash over everything: a ledger that continues this one keeps it among its own. */
export function headOf({ hashes }: LedgerChain): string {
  return hashes.at(-1) ?? '';
}

/** The file's text. Its last line seals the length: a file cut off anywhere is recognised. */
export function encodeChain(chain: LedgerChain): string {
  const lines = chain.lines.map((line, k) => `${chain.hashes[k] as string} ${JSON.stringify(line)}`);
  return `${[HEADER, ...lines, sealOf(chain)].join('\n')}\n`;
}

/** @throws ERR_CHECKPOINT_DAMAGED naming the line that is not what it was. */
export function decodeChain(text: string, path: string): LedgerChain {
  const rows = text.split('\n');
  const refuse = (what: string): never =>
    raise(
      'ERR_CHECKPOINT_DAMAGED',
      `${path}: ${what}. Put back a copy of this very file; without it what was spent is not known.`,
    );
  if (rows[0] !== HEADER) return refuse(`its first line must be «${HEADER}»`);
  const lines: LedgerLine[] = [];
  const hashes: string[] = [];
  const chain = { lines, hashes };
  for (const [k, row] of rows.slice(1, -2).entries()) {
    const [link, body] = [row.slice(0, 64), row.slice(65)];
    if (row[64] !== ' ' || linkOf(hashes.at(-1), body) !== link) return refuse(`line ${k + 2} was changed`);
    lines.push(parseLine(body, refuse));
    hashes.push(link);
  }
  if (rows.at(-1) !== '' || rows.at(-2) !== sealOf(chain)) return refuse('it is cut off, or its end was changed');
  if (lines[0]?.kind !== 'open') return refuse('its first record must say which run it belongs to');
  totals(chain, path);
  return chain;
}

/** Which run a ledger belongs to. */
export function runOf({ lines }: LedgerChain): string {
  return (lines[0] as Extract<LedgerLine, { kind: 'open' }>).run;
}

/**
 * Everything that counts as spent: what was reserved, less what was given back.
 *
 * @throws ERR_CHECKPOINT_DAMAGED for a return of what was not reserved just before.
 */
export function totals({ lines }: LedgerChain, path: string): LedgerRecord {
  const [first, ...rest] = lines as [Extract<LedgerLine, { kind: 'open' }>, ...LedgerLine[]];
  const { unprotected: before = 0 } = first.before;
  // Steps that could be repeated stay so, whoever takes the next ones.
  let { insecureSeed } = first.before;
  let events: readonly DpEvent[] = mergeEvents(first.before.events);
  let unprotected = before;
  let last: Charge | null = null; // the reservation that may be returned
  for (const line of rest) {
    if (line.kind === 'resume') insecureSeed ??= line.insecureSeed;
    if (line.kind !== 'reserve' && line.kind !== 'return') continue;
    const { event, count } = line;
    if (line.kind === 'return' && !(last !== null && sameCharge(last.event, event) && count <= last.count)) {
      return raise('ERR_CHECKPOINT_DAMAGED', `${path}: it returns ${count} steps that were not reserved just before.`);
    }
    last = line.kind === 'reserve' ? line : null;
    const change = line.kind === 'reserve' ? count : -count;
    if (event === null) unprotected += change;
    else events = changed(events, event, change);
  }
  return new Ledger(events, insecureSeed, unprotected).toJSON();
}

export function sameCharge(a: DpEvent | null, b: DpEvent | null): boolean {
  return a === null || b === null ? a === b : sameMechanism(a, b);
}

function changed(events: readonly DpEvent[], event: DpEvent, change: number): readonly DpEvent[] {
  if (change > 0) return mergeEvents([...events, withCount(event, change)]);
  return events.map((known) => (sameMechanism(known, event) ? withCount(known, known.count + change) : known));
}

function linkOf(previous: string | undefined, body: string): string {
  return hash(`${previous ?? HEADER}\n${body}`);
}

function sealOf(chain: LedgerChain): string {
  return `end ${chain.lines.length} ${headOf(chain)}`;
}

// The hash says that the text is as it was written; this says that what was written means something.
function parseLine(body: string, refuse: (what: string) => never): LedgerLine {
  try {
    const line = JSON.parse(body) as LedgerLine;
    switch (line.kind) {
      case 'open':
        Ledger.fromJSON(line.before);
        return line;
      case 'reserve':
      case 'return':
        if (line.event !== null) checkEvent(line.event);
        if (Number.isSafeInteger(line.count) && line.count > 0) return line;
        break;
      case 'resume':
        return line;
    }
  } catch {
    // refused below
  }
  return refuse(`${JSON.stringify(body)} is not a record`);
}
