import { statSync } from 'node:fs';
import { Duration } from 'aws-cdk-lib';
import * as v from 'valibot';
import { field, flag, pattern, wholeNumber } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import {
  duration,
  jobNames,
  LAST_DAY_OF_MONTH,
  propertyNames,
  scheduleProps,
  upkeepReference,
} from './checks/props.ts';
import { scheduleProblems, skipProblems, timeLimitProblems } from './checks/schedule.ts';
import { type FunctionNetwork, networkProps } from './function-network.ts';
import { type DailySuccess, hoursUntilMissed, MAXIMUM_WAIT_HOURS, monthlyHours } from './missed-alarm.ts';
import { type DailySchedule, LATEST_START, type MonthlySchedule, type WeeklySchedule } from './start-run.ts';
import type { Upkeep } from './upkeep.ts';

/** With the deployment's name and the time it makes a run's name, of at most 64 characters. */
const JOB_NAME = /^[a-z][a-z0-9-]{0,21}$/;
/** A job of the same deployment, by its name: one that there is in the end, or that there need not be. */
export type JobReference = string | { readonly job: string; readonly optional: true };

/** What an `UpkeepJob` is made of. */
export interface UpkeepJobProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** A kind of upkeep. The function's name is the deployment's with this. Lower case, digits, hyphens, at most 22 characters. */
  readonly job: string;
  /** One sentence, at most 200 characters. */
  readonly description: string;
  /**
   * The file that exports `handler`: a durable function, whose event is start-run's `RunEvent` and which ends with
   * its report published.
   */
  readonly entry: string;
  /** Imports that are never followed with these settings, as the sources write them. @default all are bundled */
  readonly importsToLeaveOut?: readonly string[] | undefined;
  /**
   * Of which regions' Amazon RDS the root certificates are in the bundle of one of the package's own functions.
   * @default of all
   */
  readonly rdsRegions?: readonly string[] | undefined;
  /** Becomes the environment variable `UPKEEP_SETTINGS`, as JSON. Tokens are allowed; no secrets. */
  readonly settings: unknown;
  /** When it runs by itself. @default none: it runs when it is started by hand, and no alarm misses a run */
  readonly schedule?: DailySchedule | WeeklySchedule | MonthlySchedule;
  /** How long a run may take, counted from its scheduled time. Lambda ends it by force when it takes 15 minutes more. */
  readonly timeLimit: Duration;
  /** Jobs of the same deployment during whose runs this one must not start. @default only itself */
  readonly conflictsWith?: JobReference[];
  /**
   * Jobs of the same deployment for the end of whose runs this one waits by itself: they do not keep it from starting, and
   * `runsToWaitFor` of its event names those that go on.
   * @default none
   */
  readonly waitsFor?: string[];
  /**
   * Lets a run start outside the downtime window, for what harms nobody at any time. Its end is then the time limit's
   * alone, and the run is told by `outsideWindow` of its event.
   * @default false
   */
  readonly outsideWindow?: boolean;
  /** Where the function stands. @default not in a VPC */
  readonly network?: FunctionNetwork;
  /** Of the function, in MiB. @default 512 MiB */
  readonly memorySize?: number;
}

/** Lambda's limit on a durable execution is a year; a run that takes longer than a day is none of these. */
const LONGEST_RUN = Duration.days(1);

/** All of them. */
export const UPKEEP_JOB_NAMES = propertyNames<UpkeepJobProps>({
  upkeep: true,
  job: true,
  description: true,
  entry: true,
  importsToLeaveOut: true,
  rdsRegions: true,
  settings: true,
  schedule: true,
  timeLimit: true,
  conflictsWith: true,
  waitsFor: true,
  outsideWindow: true,
  network: true,
  memorySize: true,
});

/** What the functions of each deployment are named besides its jobs. */
const OWN_FUNCTIONS = ['start-run', 'report-lost-run', 'rotate-secret', 'callback-relay'];

/** Of what each property can be by itself. */
export const UPKEEP_JOB_PROPS = v.looseObject({
  upkeep: upkeepReference(),
  job: pattern(
    JOB_NAME,
    'a lower-case letter, then at most 21 lower-case letters, digits and hyphens',
    "The job's name.",
    { isComputedWith: true },
  ),
  description: field(
    v.pipe(v.string(), v.nonEmpty(), v.maxLength(200)),
    'a text of at most 200 characters',
    'The description.',
  ),
  entry: field(v.pipe(v.string(), v.check(isFile)), 'the path of a file that is there', 'The handler.'),
  schedule: v.optional(scheduleProps('The schedule.')),
  timeLimit: duration(Duration.minutes(1), LONGEST_RUN),
  conflictsWith: v.optional(
    field(
      v.array(
        field(
          v.union([v.string(), v.strictObject({ job: v.string(), optional: v.literal(true) })]),
          'the name of a job, or { job, optional: true }',
          'A job.',
        ),
      ),
      'a list of names of jobs',
      'The jobs.',
    ),
  ),
  waitsFor: v.optional(jobNames('For whose end it waits.')),
  outsideWindow: v.optional(flag('Whether it may.')),
  network: v.optional(networkProps()),
  memorySize: v.optional(wholeNumber(128, 10_240, 'MiB.')),
});

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** What no single property can say. */
export function jobFindings({
  upkeep,
  job,
  schedule,
  timeLimit,
  outsideWindow = false,
}: UpkeepJobProps): Finding[] {
  const { startRun } = upkeep;
  const other = startRun.jobPath(job);
  const nameless = scheduleDayFindings(schedule);
  if (nameless.length > 0) return nameless;
  const isDaily = schedule && !('weekday' in schedule) && !('dayOfMonth' in schedule);
  const found: Finding[] = OWN_FUNCTIONS.includes(job)
    ? [
        {
          field: ['job'],
          problem: `is "${job}", the name of a function that is there for all jobs; it must be another one.`,
        },
      ]
    : other
      ? [
          {
            field: ['job'],
            problem: `is "${job}", as is that of ${other}; it must be a name of its own among the jobs of ${upkeep.deployment}.`,
          },
        ]
      : [];
  if (timeLimit.isUnresolved()) return found;
  const { window, timeZone } = startRun;
  const minutes = timeLimit.toMinutes({ integral: false });
  if (!schedule)
    return [
      ...found,
      ...(outsideWindow ? [] : timeLimitProblems(minutes, { window, timeZone })).map((problem) => ({
        field: ['timeLimit'],
        problem,
      })),
    ];
  const { at, flexibleWindow } = schedule;
  const weekday = 'weekday' in schedule ? schedule.weekday : undefined;
  const flexibleMinutes = flexibleWindow?.toMinutes({ integral: false }) ?? 0;
  return [
    ...found,
    ...(outsideWindow ? [] : timeLimitProblems(minutes, { window, timeZone, at, weekday })).map(
      (problem) => ({ field: ['timeLimit'], problem }),
    ),
    ...('dayOfMonth' in schedule && weekday
      ? [
          {
            field: ['schedule', 'weekday'],
            problem: 'is of a weekly schedule; it must be left out with dayOfMonth.',
          },
        ]
      : []),
    ...('dayOfMonth' in schedule && !weekday
      ? monthProblems(schedule, timeZone, timeLimit).map((problem) => ({
          field: ['schedule', 'dayOfMonth'],
          problem,
        }))
      : []),
    ...(!isDaily
      ? []
      : waitProblems({ flexibleWindow: flexibleWindow ?? Duration.minutes(0), timeLimit })
    ).map((problem) => ({ field: ['timeLimit'], problem })),
    ...(outsideWindow
      ? skipProblems(at, timeZone, weekday)
      : scheduleProblems({ window, timeZone, at, flexibleMinutes, weekday })
    ).map((problem) => ({ field: ['schedule', 'at'], problem })),
  ];
}

/** A day that is asked for, and not given: as of a variable that is undefined. */
function scheduleDayFindings(schedule: object | undefined): Finding[] {
  return (['weekday', 'dayOfMonth'] as const).flatMap((name) =>
    schedule && name in schedule && Reflect.get(schedule, name) === undefined
      ? [
          {
            field: ['schedule', name],
            problem: 'is undefined; it must be a day, or left out for a run each day.',
          },
        ]
      : [],
  );
}

/** Why the alarm on a missing monthly success would look at days that not each month has. */
function monthProblems(schedule: MonthlySchedule, timeZone: string, timeLimit: Duration): string[] {
  const { flexibleWindow = Duration.minutes(0), dayOfMonth } = schedule;
  if (flexibleWindow.isUnresolved()) return [];
  const { first, count } = monthlyHours(schedule, timeZone, {
    flexibleWindow,
    startDelay: LATEST_START,
    timeLimit,
  });
  const daysOver = Math.ceil((first + count) / 24) - LAST_DAY_OF_MONTH;
  if (daysOver <= 0) return [];
  return [
    `is ${dayOfMonth}, and by UTC a run of it may end after the ${LAST_DAY_OF_MONTH}th, the last day that each month has; it must be at most ${dayOfMonth - daysOver}, or the run be earlier or shorter.`,
  ];
}

/** Why the alarm on a missing daily success could not wait as long as it must. */
function waitProblems(success: Pick<DailySuccess, 'flexibleWindow' | 'timeLimit'>): string[] {
  if (success.flexibleWindow.isUnresolved()) return [];
  const hours = hoursUntilMissed({ ...success, startDelay: LATEST_START });
  const none = { flexibleWindow: Duration.minutes(0), timeLimit: Duration.minutes(0) };
  const most = MAXIMUM_WAIT_HOURS - hoursUntilMissed({ ...none, startDelay: LATEST_START });
  if (hours <= MAXIMUM_WAIT_HOURS) return [];
  return [
    `is ${success.timeLimit.toHumanString()}; with the flexible window the alarm on a missing success would wait ${hours} hours for one, and CloudWatch lets a new alarm wait ${MAXIMUM_WAIT_HOURS}: both together must be shorter, such as ${most} hours.`,
  ];
}
