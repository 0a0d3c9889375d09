import type { DatabaseAddress } from '../contract/engine.ts';
import { TableNotFound } from '../contract/errors.ts';
import type { RowEstimate, TableSearch } from '../contract/sizes.ts';

/** How long one question to the server's own tables may take. Each takes some milliseconds; this only stops a hang. */
export const QUESTION_LIMIT_MS = 5_000;

/** An estimate that may be wrong by a factor either way, and by some rows in a table so small that a factor says nothing. */
export function estimate(rows: number, factor: number, fewRows: number): RowEstimate {
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
