import { ALIKE_MS, DAY_MS, HABIT_DAYS, PEAK_DAYS, type Point, stepsOf, WEEK_DAYS } from './pace.ts';

/** A fall by so much below all that was known is more than a habit. */
const NEW_LOW = 0.05;

/** So deep a fall is no holiday, but garbage that was collected: what rises then is growth. */
const COLLECTED = 0.5;

/** Days that are as before, by which a return is known as one. */
const RETURNED_DAYS = 3;

/** By how much a day may differ from the same weekday before the dip. */
const AS_BEFORE = 0.07;

/** Days of a return that are neither as before nor in the dip. */
const HALFWAY_DAYS = 2;

/** A return makes so much of its way in a day; a climb takes longer. */
const IN_A_DAY = 1 / 3;

/**
 * The points without those of a dip that is over: of a holiday, or a purge that was undone. For two weeks at the most they fell below all that
 * was known, and returned at once to what the same weekdays had before. What comes back is no growth.
 */
export function withoutDips(points: readonly Point[]): Point[] {
  const kept: Point[] = [];
  for (let index = 0; index < points.length; ) {
    const end = endOfDip(kept, points.slice(index));
    index += end;
    const next = points[index];
    if (next) kept.push(next);
    index += 1;
  }
  return kept;
}

/** How many of the points at the beginning are a dip. */
function endOfDip(all: readonly Point[], after: readonly Point[]): number {
  const [first] = after;
  const last = all.at(-1);
  if (!first || !last) return 0;
  const before = all.filter(({ at }) => first.at - at <= HABIT_DAYS * DAY_MS + ALIKE_MS);
  if (last.at - (before[0]?.at ?? last.at) < (PEAK_DAYS - 1) * DAY_MS - ALIKE_MS) return 0;
  const floor = Math.min(...before.map(({ rows }) => rows));
  if (first.rows >= (1 - NEW_LOW) * floor) return 0;
  const end = after.findIndex(({ rows }) => rows >= floor);
  const back = after[end];
  if (!back || back.at - first.at > PEAK_DAYS * DAY_MS + ALIKE_MS) return 0;
  const lowest = Math.min(...after.slice(0, end).map(({ rows }) => rows));
  if (lowest < COLLECTED * floor) return 0;
  const halfway = after.slice(end, end + HALFWAY_DAYS + 1).findIndex((point) => isAsBefore(point, before));
  const over = end + Math.max(0, halfway);
  const fastest = Math.max(...stepsOf(after.slice(0, over + 1)).map(({ perDay }) => perDay));
  if (fastest < IN_A_DAY * (floor - lowest)) return 0;
  const returned = after.slice(over, over + RETURNED_DAYS);
  const highest = Math.max(...before.map(({ rows }) => rows));
  const isReturn =
    returned.length < RETURNED_DAYS
      ? returned.every(({ rows }) => rows <= (1 + AS_BEFORE) * highest)
      : returned.every((point) => isAsBefore(point, before));
  return isReturn ? over : 0;
}

/** Whether some weeks before it was much the same. */
function isAsBefore({ at, rows }: Point, before: readonly Point[]): boolean {
  return before.some((point) => {
    const days = (at - point.at) / DAY_MS;
    const isSameWeekday = Math.abs(days - WEEK_DAYS * Math.round(days / WEEK_DAYS)) * DAY_MS <= ALIKE_MS;
    return isSameWeekday && Math.abs(rows - point.rows) <= AS_BEFORE * point.rows;
  });
}
