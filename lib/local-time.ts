import { Temporal } from 'temporal-polyfill';
import {
  minuteOfDay,
  minutesFromTo,
  WEEKDAYS,
  type Weekday,
  windowMinutes,
} from '../functions/shared/run/time-of-day.ts';

export { minuteOfDay, minutesFromTo, WEEKDAYS, type Weekday, windowMinutes };

const MINUTES_PER_DAY = 24 * 60;

/** A change of a time zone's offset by which local times do not exist. */
export interface SkippedTimes {
  /** The day, as `YYYY-MM-DD`. */
  date: string;
  /** The first local time, `HH:MM`, that is skipped. */
  from: string;
  /** The first one after it that exists. */
  to: string;
}

/** How far ahead changes of a time zone's offset are looked for. */
export interface Ahead {
  readonly after: Date;
  readonly years: number;
}

/**
 * The first day, within so many years, on which the time zone skips a local time; `undefined` if none does.
 * @param weekday that alone is looked at. @default all
 */
export function firstSkip(
  time: string,
  timeZone: string,
  { weekday, ...ahead }: Ahead & { readonly weekday?: Weekday | undefined },
): SkippedTimes | undefined {
  for (const skipped of skips(timeZone, ahead)) {
    const isIn = minutesFromTo(skipped.from, time) < minutesFromTo(skipped.from, skipped.to);
    if (isIn && (!weekday || weekdayOf(skipped.date) === weekday)) return skipped;
  }
  return undefined;
}

/**
 * The shortest that a daily window is, within so many years, because a part of it is skipped, on days on which a run of
 * `at` lies in it; `undefined` if none is.
 */
export function shrunkWindow(
  window: { from: string; to: string },
  timeZone: string,
  { at, weekday, ...ahead }: Ahead & { readonly at: string; readonly weekday?: Weekday | undefined },
): { date: string; minutes: number } | undefined {
  let shortest: { date: string; minutes: number } | undefined;
  const whole = windowMinutes(window);
  for (const { date, from, to } of skips(timeZone, ahead)) {
    const begins = minutesFromTo(window.from, from);
    const ends = begins + minutesFromTo(from, to);
    // What is skipped lies in the window that was open already, or in the one that opens while it is skipped.
    const opensInIt = ends > MINUTES_PER_DAY;
    const lost = opensInIt ? Math.min(whole, ends - MINUTES_PER_DAY) : Math.min(whole, ends) - begins;
    if (lost <= 0) continue;
    const openedDayBefore = !opensInIt && minuteOfDay(from) < minuteOfDay(window.from);
    const opened = Temporal.PlainDate.from(date).subtract({ days: openedDayBefore ? 1 : 0 });
    const due = opened.add({ days: minuteOfDay(at) < minuteOfDay(window.from) ? 1 : 0 });
    if (weekday && weekdayOf(due.toString()) !== weekday) continue;
    if (whole - lost < (shortest?.minutes ?? whole)) shortest = { date, minutes: whole - lost };
  }
  return shortest;
}

const knownSkips = new Map<string, SkippedTimes[]>();

/** All changes of a zone by which local times do not exist; looked for once, for many schedules ask. */
function skips(timeZone: string, { after, years }: Ahead): SkippedTimes[] {
  const key = JSON.stringify([timeZone, after.toISOString().slice(0, 10), years]);
  const known = knownSkips.get(key);
  if (known) return known;
  const found: SkippedTimes[] = [];
  const start = Temporal.Instant.fromEpochMilliseconds(after.getTime()).toZonedDateTimeISO(timeZone);
  const end = start.add({ years });
  let transition = start.getTimeZoneTransition('next');
  while (transition && Temporal.ZonedDateTime.compare(transition, end) < 0) {
    const skipped = skippedBy(transition);
    if (skipped) found.push(skipped);
    transition = transition.getTimeZoneTransition('next');
  }
  knownSkips.set(key, found);
  return found;
}

function weekdayOf(date: string): Weekday | undefined {
  return WEEKDAYS[Temporal.PlainDate.from(date).dayOfWeek - 1];
}

/** The offsets from UTC, in minutes, that a time zone has within so many years: one, or two with daylight saving. */
export function offsetMinutes(timeZone: string, { after, years }: Ahead): number[] {
  const start = Temporal.Instant.fromEpochMilliseconds(after.getTime()).toZonedDateTimeISO(timeZone);
  const end = start.add({ years });
  const offsets = new Set<number>();
  let time: Temporal.ZonedDateTime | null = start;
  while (time && Temporal.ZonedDateTime.compare(time, end) < 0) {
    offsets.add(time.offsetNanoseconds / 60e9);
    time = time.getTimeZoneTransition('next');
  }
  return [...offsets];
}

function skippedBy(transition: Temporal.ZonedDateTime): SkippedTimes | undefined {
  const before = transition.subtract({ nanoseconds: 1 });
  const gap = transition.offsetNanoseconds - before.offsetNanoseconds;
  if (gap <= 0) return undefined;
  const from = transition.toPlainDateTime().subtract({ nanoseconds: gap });
  return {
    date: from.toPlainDate().toString(),
    from: from.toPlainTime().toString({ smallestUnit: 'minute' }),
    to: transition.toPlainTime().toString({ smallestUnit: 'minute' }),
  };
}
