import type { RowEstimate } from '../shared/database/contract/sizes.ts';
import type { Point } from './pace.ts';

const HOUR_MS = 3600 * 1000;

/** An older number says little of what there is now. */
const RECENT_MS = 3 * 24 * HOUR_MS;

/**
 * Why a number is not to be believed, if it is far below the one before though the table's rows take their pages as ever. MySQL leaves
 * its number at what a large delete had left when that is rolled back, and has no sign of it: only what was told before is one.
 *
 * @param history in any order.
 * @param at epoch milliseconds, of now.
 */
export function contradictedBy(rows: RowEstimate, history: readonly Point[], at: number): string | undefined {
  if (rows.kind === 'unknown' || rows.rowsShare === undefined) return undefined;
  const { madeAt = 0 } = rows;
  const recent = history.filter((point) => point.at < at && at - point.at <= RECENT_MS && point.at >= madeAt);
  const before = recent.toSorted((a, b) => b.at - a.at)[0];
  // So many may be there still: the file, which becomes smaller by being made anew only, once held the earlier number.
  if (before === undefined || before.rows * rows.rowsShare <= rows.atMost) return undefined;
  return (
    `the server tells ${rows.rows}, and told ${before.rows} at ${new Date(before.at).toISOString()}, but their pages have not become fewer accordingly ` +
    `(${Math.round(rows.rowsShare * 100)} % of its file): a large delete may have been rolled back since, which MySQL leaves subtracted, or its space is not given back yet`
  );
}
