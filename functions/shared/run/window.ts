import { Temporal } from 'temporal-polyfill';

/** Local times of day, `HH:MM`. `to` at or before `from` lies on the next day. */
export interface DailyWindow {
  from: string;
  to: string;
}

/**
 * The occurrence of a daily window that contains a moment, or `undefined` if none does.
 * A local time that daylight saving skips counts as the moment of the change; of a doubled one the earlier counts.
 */
export function windowContaining(
  moment: Date,
  window: DailyWindow,
  timeZone: string,
): { start: Date; end: Date } | undefined {
  const local = Temporal.Instant.fromEpochMilliseconds(moment.getTime()).toZonedDateTimeISO(timeZone);
  const length = window.to > window.from ? 0 : 1;
  for (const daysBack of [0, 1]) {
    const day = local.toPlainDate().subtract({ days: daysBack });
    const start = at(day, window.from, timeZone);
    const end = at(day.add({ days: length }), window.to, timeZone);
    if (start <= moment && moment < end) return { start, end };
  }
  return undefined;
}

function at(day: Temporal.PlainDate, time: string, timeZone: string): Date {
  return new Date(day.toZonedDateTime({ timeZone, plainTime: time }).epochMilliseconds);
}
