import type { RowEstimate } from '../contract/sizes.ts';
import { hasProcess, type Server } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';
import { FEW_ROWS, type FoundTable, LEAST_ROW_BYTES, type TableRow } from './table-estimates.ts';

/** Bytes of the column types that always take the same, by MySQL's manual (Data Type Storage Requirements). */
const TYPE_BYTES: Record<string, number> = {
  tinyint: 1,
  smallint: 2,
  mediumint: 3,
  int: 4,
  bigint: 8,
  float: 4,
  double: 8,
  date: 3,
  time: 3,
  datetime: 5,
  timestamp: 4,
  year: 1,
};

/** So small a sample says nothing of what a row takes: some pages, of whatever size. */
const LEAST_SAMPLED_BYTES = 1_048_576;

/** Fewer pages in use than this share of what the number asks for contradict it. Those of a table that is let alone are more. */
const CONTRADICTION = 0.8;

/**
 * The server tells of what is free whole extents of 1 MiB only, and each part of a table (of an index the leaves, and the rest) may have
 * one of which little is in use: of a smaller table nothing shows that its rows are gone.
 */
const UNTOLD_FREE_BYTES = 4_194_304;

/**
 * So many times as many as in the last sample are told for seconds only, since the server samples anew when a tenth has changed;
 * or for as long as it likes, when MySQL goes on to count rows of which the insert was rolled back.
 */
const UNSAMPLED = 1.25;

/** So many times what the sampled pages were is in use: the server has not looked since. */
const UNSEEN = 1.25;

/** How many rows, of any table, open transactions have changed: the number has them, and a rollback takes them back. */
export async function openRows(session: MysqlSession, { grants }: Server): Promise<number> {
  if (!hasProcess(grants)) return 0;
  const [open] = await session.query(
    'SELECT SUM(TRX_ROWS_MODIFIED) AS changed FROM information_schema.INNODB_TRX',
  );
  return Number(open?.changed ?? 0);
}

/**
 * The server's number, held against what else is known: the files, what of them is in use, and open transactions. Where they
 * contradict it, its range has what they say.
 */
export async function heldAgainst(
  session: MysqlSession,
  { database, table, row, fileBytes, fullTextBytes, sample, openRows: open }: FoundTable,
  told: RowEstimate,
  { pageBytes, keepsRolledBackDeletes }: Server,
): Promise<RowEstimate> {
  if (told.kind === 'unknown') return told;
  const isUnsampled = sample !== undefined && told.rows > UNSAMPLED * sample.rows;
  const atLeast = isUnsampled ? Math.min(told.atLeast, Math.floor(sample.rows / 2) - FEW_ROWS) : told.atLeast;
  const rows = { ...told, atLeast: Math.max(0, atLeast - open), atMost: told.atMost + open };
  const isCompressed = /compress/i.test(String(row.options)) || /compress/i.test(String(row.format));
  if (fileBytes === undefined) return { ...rows, filesHold: Number.MAX_SAFE_INTEGER };
  const used = usedBytes(row, fileBytes);
  const contradicts = (asked: number) => used - UNTOLD_FREE_BYTES < CONTRADICTION * asked && { atLeast: 0 };
  // The server falls back to an earlier sample when it is restarted, or the table altered: then it knows nothing of what came since.
  const isUnseen =
    used - fullTextBytes - row.parts * UNTOLD_FREE_BYTES >
      UNSEEN * Math.max(sampledBytesOf(row), bytesFor(rows.rows, row, sample?.rows)) &&
    (sample === undefined || told.rows <= UNSAMPLED * sample.rows + FEW_ROWS);
  // How few bytes a row may take nobody knows then.
  if (isCompressed)
    return {
      ...rows,
      filesHold: Number.MAX_SAFE_INTEGER,
      ...(isUnseen && { atMost: Number.MAX_SAFE_INTEGER }),
      ...contradicts(bytesFor(rows.rows, row, sample?.rows)),
    };
  // Other columns may be in no row: one that is added instantly is not written into those that are there.
  const columns = await session.query(
    'SELECT DATA_TYPE AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND COLUMN_KEY = ?',
    [database, table, 'PRI'],
  );
  const least = columns.reduce(
    (sum, { type }) => sum + (TYPE_BYTES[String(type).toLowerCase()] ?? 0),
    LEAST_ROW_BYTES,
  );
  // They cannot hold fewer rows than there are, whatever the server's number says.
  const filesHold = Math.floor(fileBytes / least);
  const ownBytes = fileBytes - Math.min(Number(row.indexBytes ?? 0), fileBytes - 1);
  const rowsShare =
    keepsRolledBackDeletes && sample?.leafPages !== undefined
      ? Math.min(1, (sample.leafPages * pageBytes) / ownBytes)
      : undefined;
  return {
    ...rows,
    ...(filesHold > rows.atMost && (isUnseen ? { atMost: filesHold } : { filesHold })),
    ...(rowsShare !== undefined && {
      rowsShare,
      ...(Boolean(row.madeAt) && { madeAt: Number(row.madeAt) * 1000 }),
    }),
    ...contradicts(Math.max(bytesFor(rows.rows, row, sample?.rows), rows.rows * least)),
  };
}

/** What of the file is in use. An insert that is rolled back gives its pages back at once. */
function usedBytes({ freeBytes }: TableRow, fileBytes: number): number {
  const free = Number(freeBytes ?? 0);
  return free > 0 && free < fileBytes ? fileBytes - free : fileBytes;
}

/** What so many rows take as the sampled ones do; at the least what was in use when the server sampled. */
function bytesFor(rows: number, row: TableRow, sampleRows: number | undefined): number {
  const sampled = sampledBytesOf(row);
  if (sampled < LEAST_SAMPLED_BYTES) return 0;
  return sampleRows ? sampled * Math.max(1, rows / sampleRows) : sampled;
}

function sampledBytesOf({ tableBytes, indexBytes }: TableRow): number {
  return Number(tableBytes ?? 0) + Number(indexBytes ?? 0);
}
