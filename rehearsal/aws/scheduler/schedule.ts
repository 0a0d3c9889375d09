import { seededRandom } from '../seeded-random.ts';
import { UnknownTemplate } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';
import { type NextTime, parseSchedule } from './schedule-expression.ts';

/** What happens to a schedule instead of what its template says. */
export type ScheduleFault =
  | { kind: 'disabled' }
  /** Delivered twice, as at-least-once delivery allows. */
  | { kind: 'doubled' }
  /** Delivered so much later. */
  | { kind: 'delayed'; milliseconds: number }
  /** The target throttles the first so many attempts. */
  | { kind: 'throttled'; attempts: number };

/** A schedule of a template. */
export interface Schedule {
  resource: Resource;
  arn: string;
  name: string;
  group: string;
  expression: string;
  timeZone: string;
  enabled: boolean;
  next: NextTime;
  /** Milliseconds; 0 without a flexible window. */
  window: number;
  random: () => number;
  target: {
    arn: string;
    roleArn: string;
    input: string;
    retries: number;
    /** Milliseconds. */
    maximumAge: number;
    deadLetter: string | undefined;
  };
  fault: ScheduleFault | undefined;
}

/** Scheduler's defaults: 185 retries within 24 hours. */
const DEFAULT_RETRIES = 185;
const DEFAULT_AGE_SECONDS = 86_400;

/** Of a template, as it is when it is made. */
export function scheduleOf(resource: Resource, now: number): Schedule {
  const { properties, arn, name } = resource;
  const target = properties
    .child('Target')
    ?.only('Arn', 'RoleArn', 'Input', 'RetryPolicy', 'DeadLetterConfig', 'SqsParameters');
  // Of FIFO queues only.
  target?.child('SqsParameters')?.only();
  if (target === undefined) throw new UnknownTemplate(`${properties.where} has no Target`);
  const to = target.text('Arn');
  if (!/^arn:aws:(lambda:[^:]*:\d+:function:|sqs:)/.test(to)) {
    throw new UnknownTemplate(`${target.where}: targets like ${to} are not understood`);
  }
  for (const key of ['StartDate', 'EndDate', 'KmsKeyArn']) {
    if (properties.has(key)) throw new UnknownTemplate(`${properties.where}.${key} is not understood`);
  }
  const retry = target.child('RetryPolicy')?.only('MaximumRetryAttempts', 'MaximumEventAgeInSeconds');
  const flexible = properties.child('FlexibleTimeWindow')?.only('Mode', 'MaximumWindowInMinutes');
  const expression = properties.text('ScheduleExpression');
  const timeZone = properties.text('ScheduleExpressionTimezone', 'UTC');
  return {
    resource,
    arn,
    name,
    group: properties.text('GroupName', 'default'),
    expression,
    timeZone,
    enabled: properties.text('State', 'ENABLED') === 'ENABLED',
    next: parseSchedule(expression, timeZone, now),
    window: flexible?.text('Mode') === 'FLEXIBLE' ? flexible.number('MaximumWindowInMinutes') * 60_000 : 0,
    random: seededRandom(arn),
    target: {
      arn: to,
      roleArn: target.text('RoleArn'),
      input: target.text('Input', '{}'),
      retries: retry?.number('MaximumRetryAttempts', DEFAULT_RETRIES) ?? DEFAULT_RETRIES,
      maximumAge:
        (retry?.number('MaximumEventAgeInSeconds', DEFAULT_AGE_SECONDS) ?? DEFAULT_AGE_SECONDS) * 1000,
      deadLetter: target.child('DeadLetterConfig')?.text('Arn'),
    },
    fault: undefined,
  };
}
