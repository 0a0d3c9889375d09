import { Duration } from 'aws-cdk-lib';
import {
  type Alarm,
  type CfnAlarm,
  ComparisonOperator,
  MathExpression,
  type Metric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { minuteOfDay, offsetMinutes, WEEKDAYS, type Weekday } from './local-time.ts';
import { createAlarm, type UpkeepAlarmProps } from './upkeep-alarm.ts';

/** CloudWatch's limit on the warm-up of an alarm: two days. */
const MAXIMUM_WARM_UP_MINUTES = 2880;
/** So long an alarm can wait for a success, at first and later. */
export const MAXIMUM_WAIT_HOURS = MAXIMUM_WARM_UP_MINUTES / 60;
const MINUTES_PER_DAY = 24 * 60;
const HOURS_PER_WEEK = 7 * 24;
/** So far ahead changes of a time zone's offset are looked up. */
const YEARS_AHEAD = 10;
/** The longest day of the year, when daylight saving ends. */
const LONGEST_DAY_HOURS = 25;

/** Of one job: each run counts in all of them, as one or as nothing. */
export interface RunMetrics {
  /** Runs that succeeded. */
  readonly successes: Metric;
  /** Runs that did only a part. */
  readonly partials: Metric;
  /** Runs that failed, where an alarm of their own tells of each. @default they are not looked at */
  readonly failures?: Metric;
}

/** Runs that came: what was done by half, or failed, has an alarm of its own. */
function whatCame({ successes, partials, failures }: RunMetrics, period: Duration): Record<string, Metric> {
  return {
    successes: successes.with({ period }),
    partials: partials.with({ period }),
    ...(failures && { failures: failures.with({ period }) }),
  };
}

/** How late the next success of something daily can be, when all is well. */
export interface DailySuccess {
  /** Within which the scheduler picks its moment. */
  readonly flexibleWindow: Duration;
  /** How long the start may be tried again. */
  readonly startDelay: Duration;
  /** How long a run may take, counted from its scheduled time. */
  readonly timeLimit: Duration;
}

/**
 * Hours without a success after which something is wrong with what is done daily: a day of 25 hours, the flexible
 * window, the time for starting, the time limit, and one more because success and check both fall somewhere in
 * an hour.
 */
export function hoursUntilMissed({ flexibleWindow, startDelay, timeLimit }: DailySuccess): number {
  const minutes = [flexibleWindow, startDelay, timeLimit].reduce((sum, part) => sum + part.toMinutes(), 0);
  return LONGEST_DAY_HOURS + Math.ceil(minutes / 60) + 1;
}

/**
 * Rings when something daily has not succeeded in time, even if it never began. What was done by half counts too, and what failed
 * where that is given: it came, and has an alarm of its own.
 *
 * CloudWatch prefers old real points to missing ones and would ring days late, so every hour without a point
 * counts as zero here. A metric that was never seen is breaching. After the alarm's creation it waits for the
 * first success for as long as it would for any.
 */
export function alarmOnMissing(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & RunMetrics & { daily: DailySuccess },
): Alarm {
  const hours = hoursUntilMissed(props.daily);
  if (hours * 60 > MAXIMUM_WARM_UP_MINUTES)
    throw new Error(
      `The alarm ${props.alarmName} would wait ${hours} hours for a success; CloudWatch lets a new alarm wait ${MAXIMUM_WAIT_HOURS}, and would ring falsely on the first days. Shorten the time limit or the flexible window.`,
    );
  const period = Duration.hours(1);
  const came = whatCame(props, period);
  const alarm = createAlarm(scope, id, props, {
    metric: new MathExpression({
      expression: Object.keys(came)
        .map((metric) => `FILL(${metric}, 0)`)
        .join(' + '),
      usingMetrics: came,
      period,
      label: 'runs that came',
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: hours,
    treatMissingData: TreatMissingData.BREACHING,
  });
  waitAtFirst(alarm, hours);
  return alarm;
}

/** When, in UTC, a weekly success is to be looked for. */
export interface WeeklyHours {
  /** Hours since Monday 00:00 UTC. */
  first: number;
  /** How many hours. */
  count: number;
}

/**
 * The hours within which something weekly succeeds when all is well, at each offset that its time zone has: from an
 * hour before it is due, since CloudWatch's hours begin at any minute, to an hour after it can be done.
 */
export function weeklyHours(
  { at, weekday }: { at: string; weekday: Weekday },
  timeZone: string,
  { flexibleWindow, startDelay, timeLimit }: DailySuccess,
): WeeklyHours {
  const offsets = offsetMinutes(timeZone, { after: new Date(), years: YEARS_AHEAD });
  const local = WEEKDAYS.indexOf(weekday) * MINUTES_PER_DAY + minuteOfDay(at);
  const due = offsets.map((offset) => local - offset);
  const minutes = [flexibleWindow, startDelay, timeLimit].reduce((sum, part) => sum + part.toMinutes(), 0);
  const first = Math.floor(Math.min(...due) / 60) - 1;
  const end = Math.ceil((Math.max(...due) + minutes) / 60) + 1;
  return { first: (first + HOURS_PER_WEEK) % HOURS_PER_WEEK, count: end - first };
}

/** When, in UTC, a monthly success is to be looked for. */
export interface MonthlyHours {
  /** Hours since the first day's midnight in UTC: negative on the last day of the month before. */
  first: number;
  /** How many hours. */
  count: number;
}

/** The hours within which something monthly succeeds when all is well, as {@link weeklyHours} has those of a week. */
export function monthlyHours(
  { at, dayOfMonth }: { at: string; dayOfMonth: number },
  timeZone: string,
  { flexibleWindow, startDelay, timeLimit }: DailySuccess,
): MonthlyHours {
  const offsets = offsetMinutes(timeZone, { after: new Date(), years: YEARS_AHEAD });
  const due = offsets.map((offset) => (dayOfMonth - 1) * MINUTES_PER_DAY + minuteOfDay(at) - offset);
  const minutes = [flexibleWindow, startDelay, timeLimit].reduce((sum, part) => sum + part.toMinutes(), 0);
  const first = Math.floor(Math.min(...due) / 60) - 1;
  const end = Math.ceil((Math.max(...due) + minutes) / 60) + 1;
  // Of hours before the first day alone nobody could tell in which night they are the last ones of a month.
  return { first, count: Math.max(end, 1) - first };
}

/** An hour of the week, as `Sunday 23:00`. */
export function shownHour(hour: number): string {
  const weekday = WEEKDAYS[Math.floor(hour / 24) % 7] ?? '';
  return `${weekday.charAt(0).toUpperCase()}${weekday.slice(1)} ${String(hour % 24).padStart(2, '0')}:00`;
}

/**
 * Rings when something weekly has not succeeded in the hours in which it should have, even if it never began, and is
 * quiet again an hour later.
 *
 * An alarm looks back for seven days at most, so it cannot wait for the next of two successes that lie a week and a
 * run's length apart. This one looks at those hours only: an hour of them without a success counts as zero, each other
 * hour as one, and it rings when all of them are zero.
 */
export function alarmOnMissingWeekly(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & RunMetrics & { hours: WeeklyHours },
): Alarm {
  return alarmOnMissingWithin(scope, id, { ...props, isWithin: isWithinWeek(props.hours, 'successes') });
}

/** Likewise of something monthly. */
export function alarmOnMissingMonthly(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & RunMetrics & { hours: MonthlyHours },
): Alarm {
  return alarmOnMissingWithin(scope, id, { ...props, isWithin: isWithinMonth(props.hours, 'successes') });
}

function alarmOnMissingWithin(
  scope: Construct,
  id: string,
  props: UpkeepAlarmProps & RunMetrics & { hours: { count: number }; isWithin: string },
): Alarm {
  const { hours, isWithin } = props;
  const period = Duration.hours(1);
  const came = whatCame(props, period);
  const alarm = createAlarm(scope, id, props, {
    metric: new MathExpression({
      expression: `FILL(IF(${isWithin}, ${Object.keys(came).join(' + ')}, 1), 0)`,
      usingMetrics: came,
      period,
      label: 'runs that came',
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
    evaluationPeriods: hours.count,
    treatMissingData: TreatMissingData.BREACHING,
  });
  waitAtFirst(alarm, hours.count);
  return alarm;
}

/** Metric math: whether a point lies within the hours. Its days count from Monday, 1, to Sunday, 7. */
function isWithinWeek({ first, count }: WeeklyHours, metric: string): string {
  const days: { day: number; from: number; to: number }[] = [];
  for (let hour = first; hour < first + count; hour++) {
    const day = (Math.floor(hour / 24) % 7) + 1;
    const last = days.at(-1);
    if (last?.day === day) last.to = hour % 24;
    else days.push({ day, from: hour % 24, to: hour % 24 });
  }
  return days
    .map(
      ({ day, from, to }) =>
        `(DAY(${metric}) == ${day} && HOUR(${metric}) >= ${from} && HOUR(${metric}) <= ${to})`,
    )
    .join(' || ');
}

/**
 * Metric math: whether a point lies within the hours, by the days of the month. The last day of a month is any from the 28th on: the
 * alarm rings only where all of its hours are without a success, and but for the last day those of the first do not follow.
 */
function isWithinMonth({ first, count }: MonthlyHours, metric: string): string {
  const days: { day: number; from: number; to: number }[] = [];
  for (let hour = first; hour < first + count; hour++) {
    const day = Math.floor(hour / 24) + 1;
    const hourOfDay = (hour + 24) % 24;
    const last = days.at(-1);
    if (last?.day === day) last.to = hourOfDay;
    else days.push({ day, from: hourOfDay, to: hourOfDay });
  }
  return days
    .map(({ day, from, to }) => {
      const isDay = day < 1 ? `DATE(${metric}) >= 28` : `DATE(${metric}) == ${day}`;
      return `(${isDay} && HOUR(${metric}) >= ${from} && HOUR(${metric}) <= ${to})`;
    })
    .join(' || ');
}

/** Of a new alarm, until it has seen as much as it looks back for. */
function waitAtFirst(alarm: Alarm, hours: number): void {
  // The construct has no property for it yet, nor had an older CDK's own resource.
  (alarm.node.defaultChild as CfnAlarm).addPropertyOverride('WarmUpConfiguration', {
    WarmUpPeriodDurationInMinutes: hours * 60,
    OnlyStartEvaluatingAfterWarmUpPeriodEnds: true,
  });
}
