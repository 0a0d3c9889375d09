import type { RowEstimate, TableBytes } from '../contract/sizes.ts';
import { estimate } from '../sizes/questions.ts';
import type { Server } from './innodb-server.ts';
import type { Sample } from './last-sample.ts';

export interface TableRow {
  type: unknown;
  engine: unknown;
  rows: unknown;
  tableBytes: unknown;
  indexBytes: unknown;
  /** Of the file, in extents that nothing uses; unlike the two above it is of now. */
  freeBytes: unknown;
  /** The table's own options, as it was created with. */
  options: unknown;
  format: unknown;
  /** When its file was made: anew by each rebuild. Seconds of the epoch. */
  madeAt: unknown;
  /** Of how many tables it is made: its partitions, or 1. */
  parts: number;
  /** Whether its file is gone, so that the other values are of before that, or of nothing. */
  isLost: boolean;
}

/** Why nothing is known of such a table. */
export const LOST_FILE =
  'its data is not there (the tablespace was discarded, or the file is missing): import it (ALTER TABLE … IMPORT TABLESPACE), or restore the table';

export interface FoundTable {
  database: string;
  table: string;
  row: TableRow;
  /** Its file, and those of its parts and full-text indexes. Undefined: the user may not see that, or it has none of its own. */
  fileBytes: number | undefined;
  /** How much of that is full-text indexes, of which no statistics tell. */
  fullTextBytes: number;
  /** The server's last sample, asked for before {@link row}. Undefined: the user may not see that. */
  sample: Sample | undefined;
  /** Rows of any table that open transactions have changed, asked for before {@link row}. 0 also where the user may not see that. */
  openRows: number;
}

/** How wrong a sample of InnoDB may be: MySQL's manual says "as much as 40% to 50%" (INFORMATION_SCHEMA TABLES). */
const SAMPLE_FACTOR = 2;

/**
 * The same where the user may not see the last sample. The number is the sample's, from which deletes are subtracted and to
 * which inserts are added: the sample's error stays, and weighs the more the fewer rows are left. Of a sample within 50 %
 * no more than a quarter may be gone, then; the server samples anew within some ten seconds of a tenth having changed.
 */
const INNODB_FACTOR = 3;

/**
 * What a row takes at the least, by the InnoDB row format: 5 bytes of header, 6 of transaction and 7 of roll
 * pointer. More rows than fit are a sign of bytes that the server has not looked at since.
 */
export const LEAST_ROW_BYTES = 18;

/** So many fit into one page of the usual size. Of fewer a factor says nothing. */
export const FEW_ROWS = Math.floor(16_384 / LEAST_ROW_BYTES);

/** How few pages a sample may have: the default of persistent statistics (innodb_stats_persistent_sample_pages). */
const LEAST_SAMPLE_PAGES = 20;

export function rowsOf(
  {
    row: { type, engine, rows, tableBytes, options, parts, isLost },
    sample,
  }: Pick<FoundTable, 'row' | 'sample'>,
  { statistics, pageBytes }: Pick<Server, 'statistics' | 'pageBytes'>,
): RowEstimate {
  if (isLost) return { kind: 'unknown', reason: LOST_FILE };
  if (rows === null || rows === undefined) {
    return {
      kind: 'unknown',
      reason:
        engine === null
          ? 'the server does not tell it now: the table is being changed, or cannot be opened'
          : `the server has no estimate for a table of the engine ${engine}`,
    };
  }
  if (engine !== 'InnoDB') {
    return { kind: 'unknown', reason: `how wrong the estimate of the engine ${engine} may be is not known` };
  }
  if (/SYSTEM VERSIONED/i.test(String(type))) {
    return {
      kind: 'unknown',
      reason:
        "the server's number includes what the rows were earlier, for it keeps their history (system versioning)",
    };
  }
  const persistent = optionOf(options, 'stats_persistent') ?? statistics.persistent;
  const recalculated = optionOf(options, 'stats_auto_recalc') ?? statistics.recalculated;
  const samplePages =
    Number(/\bstats_sample_pages=(\d+)/i.exec(String(options))?.[1]) || statistics.samplePages;
  if (!persistent || samplePages < LEAST_SAMPLE_PAGES) {
    return {
      kind: 'unknown',
      reason: persistent
        ? `the server's statistics are of ${samplePages} pages only (STATS_SAMPLE_PAGES), which may miss by any factor`
        : "the server's statistics are not kept (STATS_PERSISTENT is off), and of a few pages",
    };
  }
  if (sample?.pages !== undefined && sample.pages < LEAST_SAMPLE_PAGES) {
    return {
      kind: 'unknown',
      reason: `the server's last sample is of ${sample.pages} pages only, as STATS_SAMPLE_PAGES was when it was made, and may miss by any factor`,
    };
  }
  if (!recalculated) {
    return {
      kind: 'unknown',
      reason:
        'the server does not keep the statistics of this table up to date (STATS_AUTO_RECALC is off), and forgets changes when it restarts',
    };
  }
  if (Number(rows) === 0 && Number(tableBytes) > parts * pageBytes) {
    return {
      kind: 'unknown',
      reason:
        'the server tells no row of a table whose pages were full: nearly all were deleted just now (it looks at the table anew in some seconds), or such a delete is open or was rolled back',
    };
  }
  const told = estimate(Number(rows), INNODB_FACTOR, FEW_ROWS);
  if (told.kind === 'unknown' || sample === undefined) return told;
  const ofRows = sinceSample(told.rows, sample.rows);
  if (sample.entries === undefined) return ofRows;
  // Rows may be of very uneven length, so that the few pages of a sample miss most of them; entries of an index are less so.
  const ofEntries = sinceSample(Math.max(0, told.rows - sample.rows + sample.entries), sample.entries);
  return {
    ...ofRows,
    atLeast: Math.min(ofRows.atLeast, ofEntries.atLeast),
    atMost: Math.max(ofRows.atMost, ofEntries.atMost),
  };
}

/**
 * Whether the sample of the rows has so few of the entries of an index that one of the two is further off than a sample may be; and the number
 * too, which else comes of a later sample.
 */
export function missesEntries({ sample, row }: Pick<FoundTable, 'sample' | 'row'>): boolean {
  if (sample?.entries === undefined || row.rows === null || row.rows === undefined) return false;
  return sample.entries > SAMPLE_FACTOR * Math.max(sample.rows, Number(row.rows)) + FEW_ROWS;
}

/** The number as it would be, had the server gone by the entries; the other sample stays the second source. */
export function byEntries(found: FoundTable): FoundTable {
  const { row, sample } = found;
  if (sample?.entries === undefined) return found;
  const rows = Math.max(0, Number(row.rows) - sample.rows + sample.entries);
  return {
    ...found,
    row: { ...row, rows },
    sample: { ...sample, rows: sample.entries, entries: sample.rows },
  };
}

/** As wrong as the sample was, of which rows may have gone since, or of which more may have come: inserts are counted. */
function sinceSample(rows: number, sampleRows: number): Extract<RowEstimate, { kind: 'estimate' }> {
  const sampled = Math.max(rows, sampleRows);
  return {
    kind: 'estimate',
    rows,
    atLeast: Math.max(0, Math.floor(rows - sampled * (1 - 1 / SAMPLE_FACTOR)) - FEW_ROWS),
    atMost: Math.ceil(rows + sampled * (SAMPLE_FACTOR - 1)) + FEW_ROWS,
  };
}

function optionOf(options: unknown, name: string): boolean | undefined {
  const value = new RegExp(`\\b${name}=([01])\\b`, 'i').exec(String(options))?.[1];
  return value === undefined ? undefined : value === '1';
}

/** Files tell what is; statistics only what was when the server last looked, which it may never do. */
export function bytesOf(
  { tableBytes, indexBytes, isLost }: TableRow,
  fileBytes: number | undefined,
  rows: RowEstimate,
): TableBytes {
  if (isLost) return { kind: 'unknown', reason: LOST_FILE };
  const table = Number(tableBytes ?? Number.NaN);
  const indexes = Number(indexBytes ?? Number.NaN);
  if (fileBytes !== undefined) {
    // How much of the file is indexes is known by statistics alone.
    const ofIndexes = Number.isNaN(indexes) ? 0 : Math.min(indexes, fileBytes);
    return { kind: 'known', table: fileBytes - ofIndexes, indexes: ofIndexes, from: 'files' };
  }
  if (Number.isNaN(table + indexes)) return { kind: 'unknown', reason: 'the server does not tell it now' };
  if (rows.kind === 'unknown')
    return {
      kind: 'unknown',
      reason: `the server tells of no file of it (it does so only to who has PROCESS), and by statistics it is not known either: ${rows.reason}`,
    };
  if (rows.atLeast * LEAST_ROW_BYTES > table) {
    return {
      kind: 'unknown',
      reason: 'the server has not looked at the table since many rows were put into it',
    };
  }
  return { kind: 'known', table, indexes, from: 'statistics' };
}
