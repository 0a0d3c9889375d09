import { minuteOfDay, WEEKDAYS, type Weekday, wallClock, windowMinutes } from './time-of-day.ts';

/** The pieces that a day is counted in: fine enough for every time zone's offset, and for windows that begin at a half hour. */
export const SLOT_MINUTES = 15;
const SLOTS = (24 * 60) / SLOT_MINUTES;
/** A window is proposed that begins at one of these: in minutes. */
const STEP_MINUTES = 30;
/** Of which each weekday has been seen at least once. */
const LEAST_DAYS = 7;
/** Slots on end that no week had: more than an hour or two no clock is set forward. */
const MOST_MISSING = 8;
/**
 * A window is quiet that has at most so many times the requests of the quietest one of its length, or is so far below the
 * day's average: where nearly nothing is asked at night, twice as much of it is still nothing. And whatever the others have, with one in
 * ten minutes: of a client with few customers that is what its nodes say of the garbage collection itself.
 */
const QUIET_TIMES = 1.5;
const QUIET_PER_HOUR = 6;
const QUIET_SHARE_OF_AVERAGE = 0.1;

/** Local times `HH:MM`. */
export interface LocalWindow {
  from: string;
  to: string;
}

/** What came in one slot. */
export interface Counted {
  /** Epoch milliseconds, of a whole slot. */
  at: number;
  requests: number;
}

/** Too little is known for an ordinary week: worth another try when more is. */
export class TooFewDays extends Error {
  override readonly name = 'TooFewDays';
}

/** What a slot means of which a metric told nothing. */
export type Silence = 'nothing-came' | 'unknown';

/** An ordinary week: of each weekday, Monday first, and slot the median of the weeks that were seen. */
export type Week = number[][];

/** A window, and what is asked in an hour of it. */
export interface WindowTraffic extends LocalWindow {
  requestsPerHour: number;
}

/** What is known of a deployment's quiet hours. */
export interface QuietHours {
  /** Days that were counted. */
  days: number;
  requestsPerHour: number;
  configured: WindowTraffic;
  isQuiet: boolean;
  /** Of the same length, for all days of the week. */
  quietest: WindowTraffic;
  /** Likewise, for each. A window across midnight is of the day on which it begins. */
  byWeekday: Record<Weekday, WindowTraffic>;
}

/**
 * An ordinary week. A slot that none of the weeks had, as where clocks are set forward, is as the one before it.
 * @param span of which it was asked, in epoch milliseconds; what lies before the first request that is known does not count.
 * @param silence what slots had of which nothing is told.
 * @throws TooFewDays if it is too little for a week.
 */
export function ordinaryWeek(
  counted: Counted[],
  span: { from: number; to: number },
  timeZone: string,
  silence: Silence = 'nothing-came',
): { week: Week; days: number } {
  const first = counted.reduce((least, { at }) => Math.min(least, at), Number.POSITIVE_INFINITY);
  const requests = new Map(counted.map(({ at, requests }) => [at, requests]));
  const step = SLOT_MINUTES * 60_000;
  const seen = new Map<string, number[]>();
  const dates = new Set<string>();
  const local = wallClock(timeZone);
  for (let at = Math.max(Math.ceil(span.from / step) * step, first); at + step <= span.to; at += step) {
    if (silence === 'unknown' && !requests.has(at)) continue;
    const { date, weekday, minute } = local(at);
    const key = `${weekday} ${Math.floor(minute / SLOT_MINUTES)}`;
    const values = seen.get(key) ?? [];
    seen.set(key, values);
    values.push(requests.get(at) ?? 0);
    dates.add(date);
  }
  const days = dates.size;
  if (days < LEAST_DAYS + 1)
    throw new TooFewDays(
      `Only ${days === 1 ? '1 day is' : `${days} days are`} known, of which the first and the last are parts: an ordinary week takes at least ${LEAST_DAYS} whole ones.`,
    );
  const medians = WEEKDAYS.flatMap((weekday) =>
    Array.from({ length: SLOTS }, (_, slot) => {
      const values = seen.get(`${weekday} ${slot}`);
      return values && median(values);
    }),
  );
  const filled = withoutHoles(medians);
  return { week: WEEKDAYS.map((_, day) => filled.slice(day * SLOTS, (day + 1) * SLOTS)), days };
}

/** By the last slot before that is known, the week's end being before its beginning. */
function withoutHoles(medians: (number | undefined)[]): number[] {
  return medians.map((_, index) => {
    for (let back = 0; back <= MOST_MISSING; back++) {
      const known = medians.at(index - back);
      if (known !== undefined) return known;
    }
    const [weekday, time] = [WEEKDAYS[Math.floor(index / SLOTS)], timeOf((index % SLOTS) * SLOT_MINUTES)];
    throw new TooFewDays(
      `Nothing is known of any ${weekday} at ${time}: an ordinary week takes a value of each hour.`,
    );
  });
}

/** The quietest window of a length, and whether the configured one is as quiet. */
export function quietHours(week: Week, days: number, window: LocalWindow): QuietHours {
  const minutes = windowMinutes(window);
  const everyDay = WEEKDAYS.map((_, day) => day);
  const traffic = (from: number, on: number[]) => requestsIn(week, from, minutes, on);
  const quietestOf = (on: number[]): WindowTraffic => {
    const starts = Array.from({ length: (24 * 60) / STEP_MINUTES }, (_, step) => step * STEP_MINUTES);
    // Of those that are as quiet, the one that is configured, or else the earliest.
    const [start = 0] = [minuteOfDay(window.from), ...starts].sort((a, b) => traffic(a, on) - traffic(b, on));
    return {
      from: timeOf(start),
      to: timeOf(start + minutes),
      requestsPerHour: perHour(traffic(start, on), minutes, on.length),
    };
  };
  const average = perHour(
    week.flat().reduce((sum, each) => sum + each, 0),
    24 * 60,
    7,
  );
  const configured = {
    ...window,
    requestsPerHour: perHour(traffic(minuteOfDay(window.from), everyDay), minutes, 7),
  };
  const quietest = quietestOf(everyDay);
  return {
    days,
    requestsPerHour: average,
    configured,
    isQuiet:
      configured.requestsPerHour <= QUIET_TIMES * quietest.requestsPerHour ||
      configured.requestsPerHour <= QUIET_SHARE_OF_AVERAGE * average ||
      configured.requestsPerHour <= QUIET_PER_HOUR,
    quietest,
    byWeekday: Object.fromEntries(
      WEEKDAYS.map((weekday, day) => [weekday, quietestOf([day])]),
    ) as QuietHours['byWeekday'],
  };
}

/** Requests of each hour of the week, Monday first. */
export function hoursOf(week: Week): number[][] {
  const inHour = 60 / SLOT_MINUTES;
  return week.map((day) =>
    Array.from({ length: 24 }, (_, hour) =>
      day.slice(hour * inHour, (hour + 1) * inHour).reduce((sum, each) => sum + each, 0),
    ),
  );
}

/** All requests of a window that begins at a minute of each of these days. A slot that lies in it by a part counts by that part. */
function requestsIn(week: Week, from: number, minutes: number, days: number[]): number {
  let sum = 0;
  for (const day of days)
    for (let minute = from; minute < from + minutes; ) {
      const slot = Math.floor(minute / SLOT_MINUTES);
      const until = Math.min((slot + 1) * SLOT_MINUTES, from + minutes);
      const count = week[(day + Math.floor(slot / SLOTS)) % 7]?.[slot % SLOTS] ?? 0;
      sum += (count * (until - minute)) / SLOT_MINUTES;
      minute = until;
    }
  return sum;
}

function median(values: number[]): number {
  const ordered = values.toSorted((a, b) => a - b);
  const middle = (ordered.length - 1) / 2;
  return ((ordered[Math.floor(middle)] ?? 0) + (ordered[Math.ceil(middle)] ?? 0)) / 2;
}

function perHour(requests: number, minutes: number, days: number): number {
  return Math.round((requests / ((minutes / 60) * days)) * 10) / 10;
}

function timeOf(minute: number): string {
  const inDay = minute % (24 * 60);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(Math.floor(inDay / 60))}:${two(inDay % 60)}`;
}
