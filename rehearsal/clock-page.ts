import type { IncomingMessage, ServerResponse } from 'node:http';
import { Temporal } from 'temporal-polyfill';
import type { RunningClock } from './running-clock.ts';

/** Where it is answered, at the stand-in's endpoint. */
export const CLOCK_PATH = '/clock';

const UNITS = { d: 'days', h: 'hours', m: 'minutes', s: 'seconds' } as const;
/** Which nobody means. */
const LONGEST_MOVE = 366 * 24 * 3600_000;
const FASTEST = 86_400;

/**
 * Says what time it is, by GET, and moves the clock on, by POST: `?to=02:30` (the next one of the time zone), `?to=ISO 8601`,
 * `?by=2h30m`, `?speed=60`. A move is answered when all that was due on the way is done.
 */
export async function answerClock(
  clock: RunningClock,
  timeZone: string,
  { method, url = '' }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const parameters = new URL(url, 'http://stand-in').searchParams;
  try {
    if (method === 'POST') await change(clock, timeZone, parameters);
    else if (method !== 'GET' || parameters.size > 0)
      throw new Error('GET says the time; POST changes it: ?to=02:30, ?by=2h30m or ?speed=60.');
    write(response, 200, { now: new Date(clock.now()).toISOString(), speed: clock.speed });
  } catch (error) {
    write(response, 400, { message: error instanceof Error ? error.message : String(error) });
  }
}

function write(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

async function change(clock: RunningClock, timeZone: string, parameters: URLSearchParams): Promise<void> {
  for (const name of parameters.keys())
    if (!['to', 'by', 'speed'].includes(name)) throw new Error(`There is no ${name}: to, by and speed are.`);
  const [to, by, speed] = ['to', 'by', 'speed'].map((name) => parameters.get(name) ?? undefined);
  if (to !== undefined && by !== undefined) throw new Error('Either to or by, not both.');
  if (to === undefined && by === undefined && speed === undefined)
    throw new Error('Say to=02:30, by=2h30m or speed=60.');
  if (speed !== undefined) clock.speed = readSpeed(speed);
  if (to === undefined && by === undefined) return;
  const now = clock.now();
  const time = to === undefined ? now + readLength(by ?? '') : readMoment(to, timeZone, now, 'next');
  if (time < now)
    throw new Error(`${to} is past: it is ${new Date(now).toISOString()}, and the clock goes forward only.`);
  if (time - now > LONGEST_MOVE) throw new Error('The clock is moved by a year at most.');
  await clock.moveTo(time);
}

/** How many times as fast as real time. @throws Error saying what it may be */
export function readSpeed(text: string): number {
  const speed = Number(text);
  if (!(speed >= 1 && speed <= FASTEST))
    throw new Error(
      `The speed is a number from 1, as real time, to ${FASTEST}, a day a second; not ${text}.`,
    );
  return speed;
}

/**
 * A moment as a person writes it: a time of day of a time zone, or ISO 8601 with an offset.
 *
 * @param which a time of day is meant: that of today in the time zone, or the next one
 * @throws Error saying how it is written
 */
export function readMoment(text: string, timeZone: string, now: number, which: 'today' | 'next'): number {
  if (/^([01]\d|2[0-3]):[0-5]\d$/.test(text)) {
    const today = Temporal.Instant.fromEpochMilliseconds(Math.floor(now)).toZonedDateTimeISO(timeZone);
    const then = today.withPlainTime(text);
    const isPast = which === 'next' && then.epochMilliseconds <= now;
    return (isPast ? then.add({ days: 1 }) : then).epochMilliseconds;
  }
  const time = /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw new Error(`"${text}" is no time: 02:30, or with its offset 2026-11-29T02:30:00-03:00.`);
  return time;
}

function readLength(text: string): number {
  if (!/^(\d+[dhms])+$/.test(text)) throw new Error(`"${text}" is no length of time: 90s, 45m, 2h30m or 3d.`);
  const parts = [...text.matchAll(/(\d+)([dhms])/g)];
  return parts.reduce(
    (sum, [, count, unit]) =>
      sum +
      Temporal.Duration.from({ [UNITS[unit as keyof typeof UNITS]]: Number(count) }).total('milliseconds'),
    0,
  );
}
