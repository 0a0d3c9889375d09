import { randomUUID } from 'node:crypto';
import type {
  GetScheduleCommandInput,
  ListSchedulesCommandInput,
  UpdateScheduleCommandInput,
} from '@aws-sdk/client-scheduler';
import * as client from '@aws-sdk/client-scheduler';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Cloud, type Operations, operation, required, type Service } from '../cloud.ts';
import type { Place } from '../place.ts';
import { UnknownTemplate } from '../template/properties.ts';
import { TokenBuckets } from '../token-bucket.ts';
import { type Schedule, type ScheduleFault, scheduleOf } from './schedule.ts';

interface Delivery {
  schedule: Schedule;
  scheduled: number;
  executionId: string;
  attempt: number;
  first: number;
}

/** The session of the schedule's role; undefined where that does not trust Scheduler. */
type Role = ReturnType<Cloud['access']['assume']>;

interface Failure {
  code: string;
  reason: string;
  /** Not tried again. */
  permanent: boolean;
}

/** Scheduler's own retry waits are not published: exponential, from one second to at most five minutes. */
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 300_000;

/**
 * Its quota of invocations in a second: 1,000 in these regions (Scheduler's user guide, quotas: "primary Regions"). That of the others is not
 * known here: 250, as of the request rates there. What is over comes later.
 */
const PRIMARY_REGIONS = [
  'us-east-1',
  'us-east-2',
  'us-west-2',
  'ap-northeast-1',
  'ap-south-1',
  'ap-southeast-1',
  'ap-southeast-2',
  'eu-central-1',
  'eu-west-1',
  'eu-west-2',
  'sa-east-1',
];

function invocationsRate(region: string) {
  const perSecond = PRIMARY_REGIONS.includes(region) ? 1_000 : 250;
  return { burst: perSecond, perSecond };
}

/** Amazon EventBridge Scheduler: the templates' schedules on the rehearsal's clock. */
export class Scheduler implements Service {
  readonly signingName = 'scheduler';
  readonly client = client;
  readonly operations: Operations;
  readonly invocations: TokenBuckets;
  readonly #aws: Cloud;
  readonly #schedules: Schedule[];
  readonly #cancels = new Set<() => void>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.invocations = new TokenBuckets(aws.clock, invocationsRate);
    this.#schedules = aws.deployed
      .ofType('AWS::Scheduler::Schedule')
      .map((resource) => scheduleOf(resource, aws.clock.now()));
    for (const schedule of this.#schedules) this.#arm(schedule, aws.clock.now());
    this.operations = {
      ListSchedules: operation(
        anywhere('scheduler:ListSchedules'),
        ({ GroupName, NamePrefix = '' }: ListSchedulesCommandInput, call) => ({
          Schedules: this.#of(call)
            .filter(
              (schedule) =>
                schedule.name.startsWith(NamePrefix) && (GroupName ?? schedule.group) === schedule.group,
            )
            .map((schedule) => ({
              Arn: schedule.arn,
              Name: schedule.name,
              GroupName: schedule.group,
              State: schedule.enabled ? 'ENABLED' : 'DISABLED',
              Target: { Arn: schedule.target.arn },
            })),
        }),
      ),
      ListScheduleGroups: operation(
        anywhere('scheduler:ListScheduleGroups'),
        (_input: object, { account, region }) => ({
          ScheduleGroups: [
            { Name: 'default', Arn: `arn:aws:scheduler:${region}:${account}:schedule-group/default` },
            ...aws.deployed
              .ofType('AWS::Scheduler::ScheduleGroup')
              .filter((group) => group.account === account && group.region === region)
              .map(({ name, arn }) => ({ Name: name, Arn: arn })),
          ],
        }),
      ),
      UpdateSchedule: operation(
        ({ Name, GroupName = 'default', Target }: UpdateScheduleCommandInput, { account, region }) => [
          {
            action: 'scheduler:UpdateSchedule',
            resource: `arn:aws:scheduler:${region}:${account}:schedule/${GroupName}/${required(Name)}`,
          },
          {
            action: 'iam:PassRole',
            resource: required(Target?.RoleArn),
            conditions: { 'iam:PassedToService': 'scheduler.amazonaws.com' },
          },
        ],
        (input, call) => {
          const schedule = this.#find(input, call);
          if (
            input.ScheduleExpression !== schedule.expression ||
            input.Target?.Input !== schedule.target.input
          )
            throw new AwsError('ValidationException', 'the stand-in understands a change of State only');
          const wasEnabled = schedule.enabled;
          schedule.enabled = (input.State ?? 'ENABLED') === 'ENABLED';
          if (!wasEnabled) this.#arm(schedule, aws.clock.now());
          return { ScheduleArn: schedule.arn };
        },
      ),
      GetSchedule: operation(
        ({ Name, GroupName = 'default' }: GetScheduleCommandInput, { account, region }) => [
          {
            action: 'scheduler:GetSchedule',
            resource: `arn:aws:scheduler:${region}:${account}:schedule/${GroupName}/${required(Name)}`,
          },
        ],
        (input, call) => {
          const schedule = this.#find(input, call);
          const { target } = schedule;
          return {
            Arn: schedule.arn,
            Name: schedule.name,
            GroupName: schedule.group,
            ScheduleExpression: schedule.expression,
            ScheduleExpressionTimezone: schedule.timeZone,
            State: schedule.enabled ? 'ENABLED' : 'DISABLED',
            FlexibleTimeWindow:
              schedule.window === 0
                ? { Mode: 'OFF' }
                : { Mode: 'FLEXIBLE', MaximumWindowInMinutes: schedule.window / 60_000 },
            Target: {
              Arn: target.arn,
              RoleArn: target.roleArn,
              Input: target.input,
              RetryPolicy: {
                MaximumRetryAttempts: target.retries,
                MaximumEventAgeInSeconds: target.maximumAge / 1000,
              },
              ...(target.deadLetter !== undefined && { DeadLetterConfig: { Arn: target.deadLetter } }),
            },
          };
        },
      ),
    };
  }

  /** Gives the schedules whose name contains the text a fault, from their next time on. Returns how many. */
  fault(name: string, fault: ScheduleFault | undefined): number {
    const found = this.#schedules.filter((schedule) => schedule.name.includes(name));
    for (const schedule of found) schedule.fault = fault;
    return found.length;
  }

  /** Each schedule's name and next times. */
  upcoming(count: number): { name: string; times: number[] }[] {
    return this.#schedules.map(({ name, next }) => {
      const times: number[] = [];
      let time = next(this.#aws.clock.now());
      while (time !== undefined && times.length < count) {
        times.push(time);
        time = next(time);
      }
      return { name, times };
    });
  }

  close(): void {
    for (const cancel of this.#cancels) cancel();
  }

  #arm(schedule: Schedule, after: number): void {
    if (!schedule.enabled) return;
    const time = schedule.next(after);
    if (time === undefined) return;
    // Scheduler draws a moment in the flexible window; the same one each time for the same schedule here.
    const moment = time + Math.floor(schedule.random() * (schedule.window / 1000)) * 1000;
    this.#at(moment, () => {
      this.#arm(schedule, time);
      return this.#fire(schedule, time);
    });
  }

  async #fire(schedule: Schedule, scheduled: number): Promise<void> {
    const { clock } = this.#aws;
    const { fault } = schedule;
    if (fault?.kind === 'disabled') return;
    const deliver = (first: number) =>
      this.#attempt({ schedule, scheduled, executionId: randomUUID(), attempt: 1, first });
    if (fault?.kind === 'delayed') {
      const late = clock.now() + fault.milliseconds;
      this.#at(late, () => deliver(late));
      return;
    }
    deliver(clock.now());
    if (fault?.kind === 'doubled') deliver(clock.now());
  }

  #attempt(delivery: Delivery): void {
    const { resource } = delivery.schedule;
    const wait = this.invocations.takeLater(resource);
    if (wait === 0) {
      this.#invoke(delivery);
      return;
    }
    this.#count(delivery.schedule, 'InvocationThrottleCount');
    this.#at(this.#aws.clock.now() + wait, () => this.#invoke(delivery));
  }

  #invoke(delivery: Delivery): void {
    const { schedule, attempt, first } = delivery;
    const { target, resource } = schedule;
    const { clock, access } = this.#aws;
    this.#count(schedule, 'InvocationAttemptCount');
    const conditions = {
      'aws:SourceArn': `arn:aws:scheduler:${resource.region}:${resource.account}:schedule-group/${schedule.group}`,
      'aws:SourceAccount': resource.account,
    };
    const role = access.assume(
      target.roleArn,
      `scheduler-${schedule.name}`.slice(0, 64),
      'scheduler.amazonaws.com',
      conditions,
    );
    const input = this.#input(delivery);
    const failure = this.#failure(delivery, role, input);
    if (failure === undefined) return;
    this.#count(schedule, 'TargetErrorCount');
    const wait = Math.min(FIRST_RETRY * 2 ** (attempt - 1), LONGEST_RETRY);
    const exhausted =
      attempt > target.retries
        ? 'MaximumRetryAttempts'
        : clock.now() + wait - first > target.maximumAge
          ? 'MaximumEventAgeInSeconds'
          : undefined;
    if (!failure.permanent && exhausted === undefined) {
      this.#at(clock.now() + wait, () => this.#attempt({ ...delivery, attempt: attempt + 1 }));
      return;
    }
    this.#count(schedule, 'InvocationDroppedCount');
    this.#deadLetter(delivery, role, input, failure, exhausted);
  }

  /** Tries the target: undefined if it took the invocation. */
  #failure({ schedule, attempt }: Delivery, role: Role, input: string): Failure | undefined {
    const { target, fault, arn } = schedule;
    if (role === undefined) {
      const reason = `the role ${target.roleArn} does not trust scheduler.amazonaws.com for ${arn}`;
      return { code: 'AccessDeniedException', reason, permanent: true };
    }
    if (fault?.kind === 'throttled' && attempt <= fault.attempts) {
      this.#count(schedule, 'TargetErrorThrottledCount');
      return { code: 'TooManyRequestsException', reason: 'Rate Exceeded.', permanent: false };
    }
    const refused = target.arn.startsWith('arn:aws:lambda:')
      ? (this.#aws.access.check({
          principal: role,
          action: 'lambda:InvokeFunction',
          resource: target.arn,
        }) ?? this.#aws.lambda.enqueue(target.arn, input))
      : this.#aws.sqs.deliver(role, target.arn, input, {}, {});
    return refused === undefined
      ? undefined
      : { code: 'AccessDeniedException', reason: refused, permanent: true };
  }

  #deadLetter(
    { schedule, scheduled, executionId, attempt }: Delivery,
    role: Role,
    input: string,
    { code, reason, permanent }: Failure,
    exhausted: string | undefined,
  ): void {
    const { target } = schedule;
    const text = (value: string) => ({ DataType: 'String', StringValue: value });
    const lost =
      target.deadLetter === undefined || role === undefined
        ? 'the schedule has no dead-letter queue that its role can reach'
        : this.#aws.sqs.deliver(
            role,
            target.deadLetter,
            input,
            {
              ERROR_CODE: text(code),
              ERROR_MESSAGE: text(reason),
              EXECUTION_ID: text(executionId),
              ...(!permanent && exhausted !== undefined && { EXHAUSTED_RETRY_CONDITION: text(exhausted) }),
              IS_PAYLOAD_TRUNCATED: text('false'),
              RETRY_ATTEMPTS: text(String(attempt - 1)),
              SCHEDULED_TIME: text(isoSeconds(scheduled)),
              SCHEDULE_ARN: text(schedule.arn),
              TARGET_ARN: text(target.arn),
            },
            {},
          );
    this.#count(
      schedule,
      lost === undefined ? 'InvocationsSentToDeadLetterCount' : 'InvocationsFailedToBeSentToDeadLetterCount',
    );
    if (lost !== undefined) this.#aws.drop(schedule.arn, target.arn, `${reason}; ${lost}`);
  }

  #input({ schedule, scheduled, executionId, attempt }: Delivery): string {
    const attributes: Record<string, string> = {
      'scheduled-time': isoSeconds(scheduled),
      'schedule-arn': schedule.arn,
      'execution-id': executionId,
      'attempt-number': String(attempt),
    };
    return schedule.target.input.replaceAll(/<aws\.scheduler\.([a-z-]+)>/g, (all, name: string) => {
      const value = attributes[name];
      if (value === undefined) throw new UnknownTemplate(`the context attribute ${all} is not understood`);
      return value;
    });
  }

  #at(time: number, task: () => void | Promise<void>): void {
    const cancel = this.#aws.clock.at(time, () => {
      this.#cancels.delete(cancel);
      return task();
    });
    this.#cancels.add(cancel);
  }

  #count({ resource, group }: Schedule, metric: string): void {
    this.#aws.cloudWatch.put(resource, 'AWS/Scheduler', metric, { ScheduleGroup: group }, 1);
  }

  #find({ Name, GroupName = 'default' }: GetScheduleCommandInput, place: Place): Schedule {
    const found = this.#of(place).find((other) => other.name === Name && other.group === GroupName);
    if (found === undefined)
      throw new AwsError('ResourceNotFoundException', `Schedule ${Name} does not exist.`);
    return found;
  }

  #of({ account, region }: Place): Schedule[] {
    return this.#schedules.filter(
      ({ resource }) => resource.account === account && resource.region === region,
    );
  }
}

function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}
