const MINUTES_PER_DAY = 24 * 60;

/** Days of the week, Monday first. */
export const WEEKDAYS = [
  'monday',
  'tuesday',
  'wednesday',
  'thursday',
  'friday',
  'saturday',
  'sunday',
] as const;
/** A day of the week, in English and lower case. */
export type Weekday = (typeof WEEKDAYS)[number];

/** Minutes since midnight of a local time `HH:MM`. */
export function minuteOfDay(time: string): number {
  const [hour = '', minute = ''] = time.split(':');
  return Number(hour) * 60 + Number(minute);
}

/** A daily window's length on an ordinary day, in minutes. `to` at or before `from` lies on the next day. */
export function windowMinutes({ from, to }: { from: string; to: string }): number {
  return minutesFromTo(from, to) || MINUTES_PER_DAY;
}

/** From one local time to the next occurrence of another, on an ordinary day. 0 if they are the same. */
export function minutesFromTo(from: string, to: string): number {
  return (minuteOfDay(to) - minuteOfDay(from) + MINUTES_PER_DAY) % MINUTES_PER_DAY;
}

/** What a clock and a calendar on the wall of a time zone show. */
interface WallClock {
  /** As `DD/MM/YYYY`. */
  date: string;
  weekday: Weekday;
  /** Since midnight. */
  minute: number;
}

/** Shows moments (epoch milliseconds) as a clock of a time zone does. */
export function wallClock(timeZone: string): (at: number) => WallClock {
  // Not by Temporal, whose stand-in weighs more than some functions that ask this.
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'long',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (at) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return {
      date: `${parts.day}/${parts.month}/${parts.year}`,
      weekday: WEEKDAYS.find((name) => name === parts.weekday?.toLowerCase()) ?? 'monday',
      minute: Number(parts.hour) * 60 + Number(parts.minute),
    };
  };
}
