import { CONNECTION_LIMITS, type ConnectionLimits } from '../connection.ts';
import type { DatabaseAddress } from '../contract/engine.ts';
import { TableNotFound } from '../contract/errors.ts';
import type { ExactCount, RowEstimate, TableSearch } from '../contract/sizes.ts';

/** How long one question to the server's own tables may take. Each takes some milliseconds; this only stops a hang. */
export const QUESTION_LIMIT_MS = 5_000;

/** The server ends a question itself before that; an answer that is later never comes. */
export const SIZE_LIMITS: ConnectionLimits = {
  connectMs: CONNECTION_LIMITS.connectMs,
  answerMs: 3 * QUESTION_LIMIT_MS,
};

/** An estimate that may be wrong by a factor either way, and by some rows in a table so small that a factor says nothing. */
export function estimate(rows: number, factor: number, fewRows: number): RowEstimate {
  // Some drivers make one of what they cannot read.
  if (!Number.isFinite(rows) || rows < 0)
    return { kind: 'unknown', reason: `the server tells ${rows}, which is no number of rows` };
  return {
    kind: 'estimate',
    rows,
    atLeast: Math.max(0, Math.floor(rows / factor) - fewRows),
    atMost: Math.ceil(rows * factor) + fewRows,
  };
}

export function tableNotFound(
  { host, port }: DatabaseAddress,
  { table, databases }: TableSearch,
  detail = '',
): TableNotFound {
  return new TableNotFound(
    `${host}:${port} has no table ${table} in ${databases.join(', ')}${detail}. Check the prefix and the names of the databases in the configuration.`,
  );
}

/** What ended a count, of which the server says only that it was cancelled: its time limit, or somebody before that. */
export function endedEarly(tookMs: number, limitMs: number): ExactCount {
  // A server's clock may go a little faster.
  return { kind: tookMs < 0.9 * limitMs ? 'cancelled' : 'too-slow' };
}

/**
 * A count's number.
 * @throws Error if it is none.
 */
export function countOf(row: Record<string, unknown> | undefined): number {
  const rows = Number(row?.count);
  if (Number.isSafeInteger(rows) && rows >= 0) return rows;
  throw new Error(`The server counted ${String(row?.count)} rows, which is no number of rows.`);
}
