import type { ExactCount, RowEstimate } from '../contract/sizes.ts';

/** One of several tables of a name. */
export interface NamesakeRows {
  rows: RowEstimate;
  /** More rows than this its files cannot hold. Undefined: that is not known. */
  filesHold: number | undefined;
}

/**
 * Of tables of one name the one that has most rows, which need not be the one of the largest files: these do not shrink when rows are
 * deleted, and rows are of any length. Its range has what one of the others may have beyond it.
 * @param tables the one of the largest files first; at least one.
 */
export function withMostRows<T extends NamesakeRows>(
  tables: readonly [T, ...T[]],
): { table: T; others: T[]; rows: RowEstimate } {
  const [largest] = tables;
  // Of a smaller one that is unknown its files tell at least how many it has at the most.
  const unknown = tables.find(
    (each) => each.rows.kind === 'unknown' && (each === largest || each.filesHold === undefined),
  );
  const table = unknown ?? tables.reduce((most, each) => (numberOf(each) > numberOf(most) ? each : most));
  const others = tables.filter((each) => each !== table);
  const { rows } = table;
  if (rows.kind === 'unknown') return { table, others, rows };
  const atLeast = Math.max(rows.atLeast, ...others.map((other) => atLeastOf(other)));
  const atMost = Math.max(rows.atMost, ...others.map(atMostOf));
  const filesHold = Math.max(
    rows.filesHold ?? 0,
    ...others.map((other) => (other.rows.kind === 'estimate' ? (other.rows.filesHold ?? 0) : 0)),
  );
  const { filesHold: _, ...range } = rows;
  return {
    table,
    others,
    rows: {
      ...range,
      atLeast: Math.min(atLeast, rows.rows),
      atMost,
      ...(filesHold > atMost && { filesHold }),
    },
  };
}

/**
 * Counts the one that has most rows, and others only that may have more than that.
 * @param tables as {@link withMostRows}
 * @param count within a time
 */
export async function countMost<T extends NamesakeRows>(
  tables: readonly [T, ...T[]],
  limitMs: number,
  count: (table: T, limitMs: number) => Promise<ExactCount>,
): Promise<ExactCount> {
  const endBy = performance.now() + limitMs;
  const { table, others } = withMostRows(tables);
  let most = await count(table, limitMs);
  for (const other of others) {
    if (most.kind !== 'counted') return most;
    if (mostOf(other) <= most.rows) continue;
    const restMs = endBy - performance.now();
    if (restMs <= 0) return { kind: 'too-slow' };
    const counted = await count(other, restMs);
    if (counted.kind !== 'counted' || counted.rows > most.rows) most = counted;
  }
  return most;
}

/** How many rows a table has at the most, as far as its files or the server tell without a doubt. */
function mostOf(table: NamesakeRows): number {
  const beyond = table.rows.kind === 'estimate' ? (table.rows.filesHold ?? 0) : 0;
  return Math.max(atMostOf(table), beyond);
}

function atMostOf({ rows, filesHold }: NamesakeRows): number {
  return rows.kind === 'estimate' ? rows.atMost : (filesHold ?? Number.MAX_SAFE_INTEGER);
}

function atLeastOf({ rows }: NamesakeRows): number {
  return rows.kind === 'estimate' ? rows.atLeast : 0;
}

function numberOf({ rows }: NamesakeRows): number {
  return rows.kind === 'estimate' ? rows.rows : -1;
}
