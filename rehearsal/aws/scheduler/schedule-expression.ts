import { UnknownTemplate } from '../template/properties.ts';

/** Gives the next time after one, both in epoch milliseconds; undefined where none comes. */
export type NextTime = (after: number) => number | undefined;

const MINUTE = 60_000;
const DAY = 86_400_000;
/** How far ahead a cron expression is looked up: 29 February can be eight years away. */
const LONGEST_DAYS = 366 * 9;

/**
 * EventBridge Scheduler's expressions: `cron(…)` in a time zone, `rate(…)` and `at(…)`. A local time that daylight saving
 * skips is skipped; one that comes twice runs once, at the first.
 */
export function parseSchedule(expression: string, timeZone: string, created: number): NextTime {
  const match = /^(cron|rate|at)\((.*)\)$/.exec(expression.trim());
  const [, kind, body = ''] = match ?? [];
  if (kind === 'cron') return cron(body, timeZone);
  if (kind === 'rate') return rate(body, created);
  if (kind === 'at') return once(body, timeZone);
  throw new UnknownTemplate(`the schedule expression ${expression} is not understood`);
}

function cron(text: string, timeZone: string): NextTime {
  const [minutes, hours, days, months, weekdays, years, ...rest] = text.trim().split(/\s+/);
  if (years === undefined || rest.length > 0) throw unknown(`cron(${text})`);
  const isMinute = field(minutes, 0, 59);
  const isHour = field(hours, 0, 23);
  const isMonth = field(months, 1, 12, MONTHS);
  const isYear = field(years, 1970, 2199);
  const isDay = dayOfMonth(days);
  const isWeekday = dayOfWeek(weekdays);
  const local = localTime(timeZone);

  return (after) => {
    const first = local.parts(after);
    for (let ahead = 0; ahead < LONGEST_DAYS; ahead++) {
      // A day's number, counted as if the local date were UTC.
      const midnight = Date.UTC(first.year, first.month - 1, first.day) + ahead * DAY;
      const date = new Date(midnight);
      const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
      if (!isYear(year) || !isMonth(month) || !isDay(day, date) || !isWeekday(day, date)) continue;
      for (let hour = 0; hour < 24; hour++) {
        if (!isHour(hour)) continue;
        for (let minute = 0; minute < 60; minute++) {
          if (!isMinute(minute)) continue;
          const time = local.toEpoch(midnight + (hour * 60 + minute) * MINUTE);
          if (time !== undefined && time > after) return time;
        }
      }
    }
    return undefined;
  };
}

function rate(text: string, created: number): NextTime {
  const match = /^(\d+)\s+(minute|hour|day)s?$/.exec(text.trim());
  const unit = { minute: MINUTE, hour: 60 * MINUTE, day: DAY }[match?.[2] ?? ''];
  if (match === null || unit === undefined) throw unknown(`rate(${text})`);
  const period = Number(match[1]) * unit;
  return (after) => created + (Math.floor((after - created) / period) + 1) * period;
}

function once(text: string, timeZone: string): NextTime {
  const asUtc = Date.parse(`${text.trim()}Z`);
  if (Number.isNaN(asUtc)) throw unknown(`at(${text})`);
  const time = localTime(timeZone).toEpoch(asUtc);
  return (after) => (time !== undefined && time > after ? time : undefined);
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
/** AWS counts from 1. */
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

function field(text: string | undefined, lowest: number, highest: number, names: string[] = []) {
  const number = (part: string) => {
    const name = names.indexOf(part.toUpperCase());
    const value = name >= 0 ? name + 1 : Number(part);
    if (!/^\d+$/.test(part) && name < 0) throw unknown(`the cron field ${text}`);
    return value;
  };
  const allowed = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const [range = '', step] = part.split('/');
    const [from = '', to] = range.split('-');
    const start = range === '*' || range === '?' ? lowest : number(from);
    const end =
      range === '*' || range === '?' || (step !== undefined && to === undefined)
        ? highest
        : number(to ?? from);
    for (let value = start; value <= end; value += step === undefined ? 1 : number(step)) allowed.add(value);
  }
  return (value: number) => allowed.has(value);
}

type DayTest = (day: number, date: Date) => boolean;

function dayOfMonth(text: string | undefined): DayTest {
  if (text === 'L') {
    return (_day, date) => new Date(date.getTime() + DAY).getUTCDate() === 1;
  }
  const allowed = field(text, 1, 31);
  return (day) => allowed(day);
}

function dayOfWeek(text: string | undefined): DayTest {
  const nth = /^(\w+)#([1-5])$/.exec(text ?? '');
  if (nth !== null) {
    const weekday = field(nth[1], 1, 7, WEEKDAYS);
    return (day, date) => weekday(date.getUTCDay() + 1) && Math.ceil(day / 7) === Number(nth[2]);
  }
  const allowed = field(text, 1, 7, WEEKDAYS);
  return (_day, date) => allowed(date.getUTCDay() + 1);
}

function localTime(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const parts = (time: number) => {
    const found: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(time)) found[type] = Number(value);
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = found;
    return { year, month, day, hour, minute, second };
  };
  const asUtc = (time: number) => {
    const { year, month, day, hour, minute, second } = parts(time);
    return Date.UTC(year, month - 1, day, hour, minute, second);
  };
  return {
    parts,
    /** The first moment that has this local time (given as if it were UTC); undefined where none has. */
    toEpoch(wanted: number): number | undefined {
      // The offsets of the day before and after are all that can hold at this moment.
      const candidates = [wanted - DAY, wanted + DAY].map((near) => wanted - (asUtc(near) - near));
      return candidates.sort((left, right) => left - right).find((time) => asUtc(time) === wanted);
    },
  };
}

function unknown(what: string): UnknownTemplate {
  return new UnknownTemplate(`${what} is not understood`);
}
