import type { LargestTable } from '../shared/database/contract/sizes.ts';
import type { Answer } from '../shared/database/sizes/measure-set.ts';
import type { UpgradeCheckSettings } from './contract.ts';
import type { Finding } from './criteria.ts';
import type { Space } from './free-space.ts';

/** What is known of a server's disks. */
export interface SpaceKnown {
  host: string;
  /** In the databases of each set on it. */
  largest: Answer<LargestTable>[];
  /** Undefined: its identifier is not configured. */
  spaces: Answer<Space[]> | undefined;
}

/** Whether a copy of a server's largest table has room. */
export function spaceFinding(
  { host, largest, spaces }: SpaceKnown,
  { deployment }: UpgradeCheckSettings,
): Finding {
  const about = {
    criterion: 'free space',
    where: `${deployment}, ${host}`,
    source: "the server's sizes, and CloudWatch's metrics of it",
  };
  const unknown = (reason: string, next: string): Finding => ({
    ...about,
    answer: 'unknown',
    what: `Whether a copy of the largest table has room is unknown: ${reason}`,
    next,
    cleaningHelps: false,
  });
  const mend = 'Mend this, then ask again.';
  if (!spaces)
    return unknown(
      'CloudWatch cannot be asked without the name of the database.',
      "Give the DB instance's identifier, or Aurora's DB cluster's, in upgradeCheck.storage, and deploy.",
    );
  if (spaces.kind === 'not-told') return unknown(spaces.error, mend);
  let table: Extract<LargestTable, { kind: 'known' }> | undefined;
  // The first that is unknown, which is told unless what is known is too little already.
  let first: Finding | undefined;
  for (const asked of largest) {
    if (asked.kind === 'not-told') first ??= unknown(asked.error, mend);
    else if (asked.value.kind === 'unknown') first ??= unknown(`${asked.value.reason}.`, mend);
    else if (!table || asked.value.bytes > table.bytes) table = asked.value;
  }
  if (!table) return first ?? unknown('there is no table.', mend);
  const size = `The largest table${first ? ' that is known' : ''}, ${table.table} in ${table.database}, takes ${readable(table.bytes)} with its indexes`;
  const told: string[] = [];
  for (const { name, metric, copies, freeBytes, freeAt } of spaces.value) {
    if (freeBytes === undefined) {
      first ??= unknown(
        `CloudWatch has no ${metric} of the last hours.`,
        'Check the identifier in upgradeCheck.storage and the engine in databases.',
      );
      continue;
    }
    const needed = Math.max(table.bytes * copies, LEAST_FREE_BYTES);
    if (freeBytes < needed)
      return {
        ...about,
        answer: 'no',
        what: `${size}; a copy needs ${readable(needed, freeBytes)} on ${name}, which has ${readable(freeBytes, needed)} free${freeAt ? ` (${freeAt})` : ''}.`,
        next: 'Give the database more storage (on Aurora a larger instance, for its own disk), or make the table smaller and have its space given back.',
        cleaningHelps: false,
      };
    told.push(
      `${readable(needed, freeBytes)} are needed on ${name}, and ${readable(freeBytes, needed)} free${freeAt ? ` (${freeAt})` : ''}`,
    );
  }
  if (first) return first;
  if (told.length === 0) return unknown('no place is known that it would need.', mend);
  return { ...about, answer: 'yes', what: `${size}: ${told.join('; ')}.` };
}

/** An upgrade writes more than the copy of a table, however small that is. Ours: no source names a number. */
const LEAST_FREE_BYTES = 1e9;

/** In the largest unit of which there is one at the least; byte by byte, where it would look like another number that it is not. */
function readable(bytes: number, beside = bytes): string {
  const text = rounded(bytes);
  return beside !== bytes && rounded(beside) === text ? `${bytes.toLocaleString('en')} bytes` : text;
}

function rounded(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  // What would be rounded to a thousand of a unit is one of the next.
  const power = units.findIndex((_, index) => bytes / 1000 ** (index + 1) < 999.995);
  const unit = power < 0 ? units.length - 1 : power;
  return `${(bytes / 1000 ** (unit + 1)).toFixed(2)} ${units[unit]}`;
}
