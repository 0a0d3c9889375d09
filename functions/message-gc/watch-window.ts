import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { ordinaryWeek, type QuietHours, quietHours, TooFewDays } from '../shared/run/quiet-hours.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import { wallClock } from '../shared/run/time-of-day.ts';
import { silenceOf, trafficName, trafficOf } from '../shared/run/traffic.ts';
import { QUIET_WINDOW_FIGURE, type WatchWindowSettings } from './contract.ts';

/** Of the runs of a week that one tells of the window which is due on this day. */
const WEEKDAY = 'monday';
const WEEKS = 4;
const WEEK_MS = 7 * 24 * 3600 * 1000;

type Found =
  | { kind: 'known'; hours: QuietHours }
  | { kind: 'too-few-days'; reason: string }
  | { kind: 'not-told'; reason: string };

const cloudWatch = namingErrors(new CloudWatchClient({ requestHandler: REQUEST_LIMITS }));

/** The run's result, and once a week whether the downtime window is still quiet. It changes no outcome, and no schedule. */
export async function withWindow(
  result: RunResult,
  settings: WatchWindowSettings,
  run: RunEvent,
  context: DurableContext,
): Promise<RunResult> {
  const { window, timeZone } = settings;
  const due = Date.parse(run.scheduledFor);
  if (wallClock(timeZone)(due).weekday !== WEEKDAY) return result;
  const found = await context.step('whether the window is quiet', () => lookAtTraffic(settings, due));
  if (found.kind === 'too-few-days')
    return { ...result, details: { ...result.details, window: { unknown: found.reason } } };
  const where = `${run.deployment}, ${window.from} to ${window.to} ${timeZone}`;
  if (found.kind === 'not-told')
    return {
      ...result,
      problems: [
        ...result.problems,
        {
          what: `Whether the downtime window is still quiet is unknown: ${found.reason}`,
          where,
          next: `Mend this; npx wa-upkeep window ${run.deployment} tells it meanwhile. Garbage collection went on without it.`,
        },
      ],
    };
  const { configured, quietest, isQuiet, days } = found.hours;
  const problem = {
    what: `The downtime window is no longer quiet: ${configured.requestsPerHour} ${trafficName(settings.traffic)} in an hour of it, ${quietest.requestsPerHour} in an hour of ${quietest.from} to ${quietest.to}, in an ordinary week of the last ${days} days.`,
    where,
    next: `npx wa-upkeep window ${run.deployment} draws the week. If it is so for good, put window: { from: '${quietest.from}', to: '${quietest.to}' } into the configuration, with the times of the jobs in it, and deploy: no schedule moves by itself.`,
  };
  return {
    ...result,
    figures: {
      ...result.figures,
      [QUIET_WINDOW_FIGURE]: isQuiet ? 1 : 0,
      windowRequestsPerHour: configured.requestsPerHour,
      quietestRequestsPerHour: quietest.requestsPerHour,
    },
    problems: isQuiet ? result.problems : [...result.problems, problem],
    details: { ...result.details, window: { configured, quietest, days } },
  };
}

async function lookAtTraffic({ traffic, window, timeZone }: WatchWindowSettings, to: number): Promise<Found> {
  const span = { from: to - WEEKS * WEEK_MS, to };
  try {
    const counted = await trafficOf(cloudWatch, traffic, span);
    const { week, days } = ordinaryWeek(counted, span, timeZone, silenceOf(traffic));
    return { kind: 'known', hours: quietHours(week, days, window) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: error instanceof TooFewDays ? 'too-few-days' : 'not-told', reason };
  }
}
