import type { RowEstimate } from '../contract/sizes.ts';
import { estimate } from '../sizes/questions.ts';
import type { Part } from './tables.ts';

/**
 * How wrong the counters of live rows may be. They start from a sample of a vacuum or ANALYZE and are exact from there
 * on: 1.5 % was measured. Aborted transactions and uneven pages add to it.
 */
const COUNTERS_FACTOR = 1.2;

/**
 * Rows that must have been inserted for each page of a table: longer ones are moved out of it
 * (TOAST_TUPLES_PER_PAGE). Counters that know of fewer were lost in a crash or a reset, or are not yet written.
 */
const LEAST_ROWS_PER_PAGE = 4;

/** What a page can hold at the most, with pages of 8 KiB (MaxHeapTuplesPerPage). */
const MOST_ROWS_PER_PAGE = 291;

/**
 * By how many rows, for each time that a table has as many pages as ANALYZE reads, a sample of uneven pages (nearly all empty after a
 * large delete, the rest full) may be wrong beyond {@link COUNTERS_FACTOR}: of R rows on full pages three standard deviations are
 * 3√(R · pages / sample · 291), which is no more than (factor - 1) · R and this.
 */
const UNEVEN_ROWS = (9 * MOST_ROWS_PER_PAGE) / (4 * (COUNTERS_FACTOR - 1));

/** @param pages of its files now; undefined: nobody may look. */
export function rowsOf(part: Part, pages: number | undefined): RowEstimate {
  const { tuples, pages: pagesThen, live, inserted, counted, samplePages } = part;
  if (counted) {
    const share = (pages ?? pagesThen) / samplePages;
    // All pages of a smaller table are read.
    const few = MOST_ROWS_PER_PAGE + (share > 1 ? Math.ceil(UNEVEN_ROWS * share) : 0);
    const told = estimate(live, COUNTERS_FACTOR, few);
    if (told.kind === 'estimate' && part.countedByVacuum && !isAsCounted(part, few))
      return { ...told, atLeast: 0, atMost: Math.max(told.rows, (pages ?? pagesThen) * MOST_ROWS_PER_PAGE) };
    const known = withCountedTwice(told, part, pages, few);
    if (known.kind === 'unknown' || pages === undefined || pages <= pagesThen) return known;
    // The files have grown, perhaps as the counters do not know: rows were loaded while they were off (track_counts), or updated.
    const hasDensity = tuples > 0 && pagesThen > 0;
    const byPages = hasDensity ? (tuples / pagesThen) * pages * COUNTERS_FACTOR : pages * MOST_ROWS_PER_PAGE;
    const explained = !hasDensity && live >= LEAST_ROWS_PER_PAGE * (pages - 1);
    return explained ? known : { ...known, atMost: Math.max(known.atMost, Math.ceil(byPages)) };
  }
  // Nothing has set the counters right yet, so that a page's limit alone tells what they may have missed.
  const atMost = (pages ?? pagesThen) * MOST_ROWS_PER_PAGE;
  // Nor are they complete where they know of fewer rows than the catalog does: they were lost in between.
  const complete = pages !== undefined && inserted >= LEAST_ROWS_PER_PAGE * (pages - 1) && inserted >= tuples;
  if (complete) {
    // Deletes that were written before the inserts, of another session, have left the counter at 0, and are forgotten.
    const least = Math.max(0, Math.min(live, inserted - part.deleted));
    return { kind: 'estimate', rows: live, atLeast: Math.floor(least / COUNTERS_FACTOR), atMost };
  }
  if (pages === undefined && tuples < 0) {
    return {
      kind: 'unknown',
      reason: 'the table was never analyzed, and somebody holds a lock by which nobody may look at its files',
    };
  }
  if (tuples < 0) {
    return {
      kind: 'unknown',
      reason:
        "the table was never analyzed, and the server's counters know too little of it: they were lost or reset, or are some seconds behind",
    };
  }
  // What has changed since then is not known, but for what the counters have seen.
  const rows = Math.max(tuples, live);
  return { kind: 'estimate', rows, atLeast: 0, atMost: Math.max(atMost, rows) };
}

/**
 * A vacuum reads the pages that have changed, and goes by the density of before for all others. Where it is not the same everywhere (the oldest
 * rows are deleted, the newest updated) the number drifts with each, by any factor, until ANALYZE reads pages at random. What was inserted
 * less what was deleted is all there is, if these counters are of the table's whole life: where the two agree both are right.
 */
function isAsCounted({ live, inserted, deleted }: Part, few: number): boolean {
  const net = inserted - deleted;
  return live <= net * COUNTERS_FACTOR + few && net <= live * COUNTERS_FACTOR + few;
}

/**
 * What a session has changed it adds to the counters some seconds later, also where its own VACUUM or ANALYZE has seen that
 * already: an import with ANALYZE at its end doubles the rows, and a purge with VACUUM at its end leaves none. So the range has what may
 * have been counted twice: of the rows that were inserted and deleted since that look, as far as the counters and the pages allow.
 */
function withCountedTwice(
  known: RowEstimate,
  part: Part,
  pages: number | undefined,
  few: number,
): RowEstimate {
  const { pages: pagesThen, live, countedByHand, changed } = part;
  if (known.kind === 'unknown' || !countedByHand) return known;
  // Not on record since the table was written anew.
  const seen = part.tuples < 0 ? undefined : part.tuples;
  const inserted = Math.min(part.inserted, changed);
  // With what was inserted it is no more than all changes, and they differ by what the number has changed by.
  const deleted = Math.min(
    part.deleted,
    changed,
    seen === undefined ? changed : Math.max(0, (changed - live + seen) / 2),
  );
  // What lies in pages that the look did not see came after it.
  const newPages = Math.max(0, (pages ?? pagesThen) - pagesThen);
  const later = pagesThen > 0 && seen !== undefined ? (newPages * seen) / pagesThen / COUNTERS_FACTOR : 0;
  const ofLook = seen === undefined ? changed : seen * COUNTERS_FACTOR;
  const insertedTwice = Math.max(0, Math.min(inserted - later, ofLook));
  return {
    ...known,
    atLeast: Math.max(0, Math.min(known.atLeast, Math.floor((live - insertedTwice) / COUNTERS_FACTOR) - few)),
    atMost: Math.max(known.atMost, Math.ceil((live + deleted) * COUNTERS_FACTOR) + few),
  };
}

/** More rows than the pages can hold are not there, whatever the counters say, which are some seconds behind. */
export function withinPages(known: RowEstimate, pages: number): RowEstimate {
  const most = pages * MOST_ROWS_PER_PAGE;
  if (pages === 0) return { kind: 'estimate', rows: 0, atLeast: 0, atMost: 0 };
  if (known.kind === 'unknown' || known.rows <= most) return known;
  return { ...known, rows: most, atLeast: 0, atMost: most };
}
