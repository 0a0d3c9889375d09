import {
  firstSkip,
  minutesFromTo,
  type SkippedTimes,
  shrunkWindow,
  type Weekday,
  windowMinutes,
} from '../local-time.ts';
import type { Finding } from './mistakes.ts';
import { valueText } from './mistakes.ts';

/** EventBridge Scheduler does not make up for a skipped time: so far ahead a schedule must not meet one. */
const YEARS_AHEAD = 10;

/** The local hours in which runs may work. */
export interface Window {
  /** Local time `HH:MM` at which it begins. */
  readonly from: string;
  /** Local time `HH:MM` at which it ends: of the next day, where that is before `from`. */
  readonly to: string;
  /** Whether ends that are the same are meant. */
  readonly wholeDay?: boolean | undefined;
}

/** When a job runs, in minutes and local times. */
export interface ScheduledRun {
  readonly window: Window;
  readonly timeZone: string;
  readonly at: string;
  readonly flexibleMinutes: number;
  /** @default each day */
  readonly weekday?: Weekday | undefined;
}

/** What is wrong with a downtime window as a whole. */
export function windowFindings({ from, to, wholeDay = false }: Window): Finding[] {
  if (from === to && !wholeDay)
    return [
      {
        field: ['to'],
        problem: `is ${valueText(to)}, as is from; it must be another time, or come with wholeDay: true if the window is the whole day.`,
      },
    ];
  if (from !== to && wholeDay)
    return [
      {
        field: ['wholeDay'],
        problem: `is true, and the window is from ${from} to ${to}; it must be left out, or both times be the same.`,
      },
    ];
  return [];
}

/** Why a run of so many minutes does not fit into the downtime window: what follows the field of its time limit. */
export function timeLimitProblems(
  timeLimitMinutes: number,
  { window, timeZone, ...when }: Pick<ScheduledRun, 'window' | 'timeZone'> & Partial<ScheduledRun>,
): string[] {
  const minutes = windowMinutes(window);
  const hours = `from ${window.from} to ${window.to}`;
  if (timeLimitMinutes > minutes)
    return [
      `is ${timeLimitMinutes} minutes; it must be at most the ${minutes} of the downtime window, ${hours}.`,
    ];
  const { at, weekday } = when;
  const shrunk = at && shrunkWindow(window, timeZone, { at, weekday, after: new Date(), years: YEARS_AHEAD });
  if (!shrunk || timeLimitMinutes <= shrunk.minutes) return [];
  return [
    `is ${timeLimitMinutes} minutes; it must be at most the ${shrunk.minutes} that the downtime window, ${hours}, has in ${timeZone} when daylight saving begins (first on ${shrunk.date}).`,
  ];
}

/** What is wrong with the time of a schedule: what follows the field of its `at`. */
export function scheduleProblems({ window, timeZone, at, flexibleMinutes, weekday }: ScheduledRun): string[] {
  const span = flexibleMinutes > 0 ? ` with its ${flexibleMinutes} flexible minutes` : '';
  return [
    ...(minutesFromTo(window.from, at) + flexibleMinutes < windowMinutes(window)
      ? []
      : [
          `is ${valueText(at)}; it must lie${span} inside the downtime window, from ${window.from} to ${window.to}.`,
        ]),
    ...skipProblems(at, timeZone, weekday),
  ];
}

/** Why a local time is none on some day: what follows its field. */
export function skipProblems(at: string, timeZone: string, weekday?: Weekday): string[] {
  const skip: SkippedTimes | undefined = firstSkip(at, timeZone, {
    after: new Date(),
    years: YEARS_AHEAD,
    weekday,
  });
  if (!skip) return [];
  return [
    `is ${valueText(at)}, a time that ${timeZone} skips when daylight saving begins (first on ${skip.date}) and EventBridge Scheduler then skips too; it must lie outside ${skip.from} to ${skip.to}.`,
  ];
}
