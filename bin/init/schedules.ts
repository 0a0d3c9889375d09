import { scheduleProblems, timeLimitProblems } from '../../lib/checks/schedule.ts';
import { minuteOfDay, windowMinutes } from '../../lib/local-time.ts';
import type { Job } from './jobs.ts';

/** When a job runs, within the window. */
export interface PlannedRun {
  schedule: { at: string; flexibleMinutes: number };
  timeLimitMinutes: number;
}

/** In one night of the year daylight saving takes so much of a window. */
const DAYLIGHT_SAVING = 60;
const MINUTES_PER_DAY = 24 * 60;

/**
 * Times for the jobs: media GC before message GC, which it must not meet, and the rotation after both have begun, for which it
 * waits. None is at a local time that daylight saving skips.
 * @param window at least two hours long
 */
export function planRuns(window: { from: string; to: string }, timeZone: string): Record<Job, PlannedRun> {
  const length = windowMinutes(window);
  const longest = length - DAYLIGHT_SAVING;
  const isShort = length < 4 * 60;
  const plan = (from: number, flexibleMinutes: number, wanted: number): PlannedRun => {
    const timeLimitMinutes = Math.min(wanted, longest);
    for (let offset = from; offset + flexibleMinutes < length; offset++) {
      const at = timeAfter(window.from, offset);
      const when = { window, timeZone, at, flexibleMinutes };
      if (scheduleProblems(when).length > 0 || timeLimitProblems(timeLimitMinutes, when).length > 0) continue;
      return { schedule: { at, flexibleMinutes }, timeLimitMinutes };
    }
    return { schedule: { at: timeAfter(window.from, from), flexibleMinutes }, timeLimitMinutes };
  };
  const offsetOf = ({ schedule }: PlannedRun) =>
    (minuteOfDay(schedule.at) - minuteOfDay(window.from) + MINUTES_PER_DAY) % MINUTES_PER_DAY;
  const mediaGc = plan(0, 0, isShort ? 40 : 45);
  const messageGc = plan(offsetOf(mediaGc) + mediaGc.timeLimitMinutes, isShort ? 5 : 15, isShort ? 60 : 120);
  const logCleanup = plan(10, isShort ? 5 : 10, isShort ? 60 : 120);
  const lastBegins = Math.max(
    ...[mediaGc, messageGc, logCleanup].map((run) => offsetOf(run) + run.schedule.flexibleMinutes),
  );
  return {
    mediaGc,
    messageGc,
    logCleanup,
    credentialRotation: plan(lastBegins + 1, 0, 180),
    databaseSize: plan(length - 45, 15, 30),
    applicationSettings: plan(5, isShort ? 5 : 10, 30),
  };
}

function timeAfter(from: string, minutes: number): string {
  const at = (minuteOfDay(from) + minutes) % MINUTES_PER_DAY;
  return [Math.floor(at / 60), at % 60].map((part) => String(part).padStart(2, '0')).join(':');
}
