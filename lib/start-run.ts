import { Duration, Lazy, RemovalPolicy, Stack, TimeZone } from 'aws-cdk-lib';
import { type Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import {
  ContextAttribute,
  Schedule,
  ScheduleExpression,
  ScheduleGroup,
  ScheduleTargetInput,
  TimeWindow,
} from 'aws-cdk-lib/aws-scheduler';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { startLettersNames } from '../functions/shared/run/report.ts';
import type { JobTarget, StartRunSettings } from '../functions/start-run/contract.ts';
import { deploymentName, downtimeWindow, timeZone } from './checks/fields.ts';
import { checkProps } from './checks/props.ts';
import { DeadLetterQueue } from './dead-letter-queue.ts';
import { ofQueue } from './encryption.ts';
import { entryFile } from './entry-file.ts';
import type { Weekday } from './local-time.ts';
import { letPublishReports } from './run-reports.ts';
import { alarmOnAny, ONE_CAUSE } from './upkeep-alarm.ts';
import { ASYNCHRONOUS_EVENT_AGE, UpkeepFunction, undeliveredOf } from './upkeep-function.ts';

/** How long EventBridge Scheduler tries again to hand a start to Lambda. Its own default is a day: too late for a night's work. */
const SCHEDULE_EVENT_AGE = Duration.minutes(25);
/** Within {@link SCHEDULE_EVENT_AGE}, with the scheduler's growing pauses. Its own default is 185. */
const SCHEDULE_RETRIES = 10;

/**
 * How long Lambda keeps the start of a run that it cannot begin at once, for want of concurrency. Lambda's own default is six
 * hours: a night's work in the middle of the day.
 */
export const JOB_EVENT_AGE = Duration.minutes(5);

/** How late a start can be, when something fails at first: what the scheduler and Lambda allow together. */
export const LATEST_START = SCHEDULE_EVENT_AGE.plus(ASYNCHRONOUS_EVENT_AGE).plus(JOB_EVENT_AGE);

/** A time of each day, in the deployment's time zone. */
export interface DailySchedule {
  /** Local time, `HH:MM`. */
  readonly at: string;
  /**
   * Within which EventBridge Scheduler picks the moment itself, so that not everything starts on the minute.
   * Whole minutes, at most a day.
   * @default exactly at that time
   */
  readonly flexibleWindow?: Duration;
}

/** A time of one day of each week. */
export interface WeeklySchedule extends DailySchedule {
  /** The local day on which `at` is. */
  readonly weekday: Weekday;
}

/** A time of one day of each month. */
export interface MonthlySchedule extends DailySchedule {
  /**
   * The local day on which `at` is: 1 to 28, which each month has. A run that could end on the 29th by UTC is refused, for the alarm on
   * a missing one looks at days that each month has. For the end of a month take day 1, in the night after it.
   */
  readonly dayOfMonth: number;
}

/** What a `StartRun` is made of. */
export interface StartRunProps extends Omit<StartRunSettings, 'jobs' | 'ledgerPath' | 'topicArn'> {
  /** Where the alarms go. */
  readonly topic: ITopic;
  /** Whether somebody is to be told of the alarms: then each run's start looks whether anybody is subscribed. */
  readonly isAddressed: boolean;
  /** Encrypts what is kept. @default keys that AWS owns */
  readonly encryptionKey?: IKey | undefined;
  /** How long the log is kept. @default three months */
  readonly logRetention?: RetentionDays | undefined;
}

const PROPS = v.looseObject({
  deployment: deploymentName('The deployment.'),
  timeZone: timeZone('Of the window.'),
  window: downtimeWindow('The downtime window.'),
});

/** What an operator types to start a run by hand: of AWS's own command line the two versions want it in two ways. */
export function shellCommandToStart(deployment: string, job: string): string {
  return `npx wa-upkeep run ${job} ${deployment}`;
}

/** Likewise, as Markdown. */
export function commandToStart(deployment: string, job: string): string {
  return `\`${shellCommandToStart(deployment, job)}\``;
}

/**
 * The function that every schedule of a deployment calls: it starts a job's run under the name of its identity,
 * which EventBridge Scheduler cannot form. Runs started by hand go the same way.
 */
export class StartRun extends Construct {
  /** The function that starts runs. */
  readonly function: UpkeepFunction;
  /** Rings when the function itself fails. */
  readonly errorsAlarm: Alarm;
  /** What a start that failed each time ends in. */
  readonly deadLetters: DeadLetterQueue;
  /** What a schedule could not hand over ends in. */
  readonly scheduleDeadLetters: DeadLetterQueue;

  private readonly props: StartRunProps;
  private readonly jobs: Record<string, JobTarget> = {};
  private readonly jobPaths = new Map<string, string>();
  private readonly scheduleGroup: ScheduleGroup;
  private readonly schedulerRole: Role;

  constructor(scope: Construct, id: string, props: StartRunProps) {
    super(scope, id);
    checkProps(this, PROPS, props);
    this.props = props;
    const { deployment, timeZone, window, topic, encryptionKey, logRetention } = props;
    const functionName = `${deployment}-start-run`;
    const ledgerPath = `/upkeep/${deployment}/runs`;
    const scheduleGroupName = `${deployment}-upkeep`;

    const letters = startLettersNames(deployment);
    const readReport = `Read the run's report: the log /aws/lambda/${deployment}-report-lost-run, message "Run report", newest first. It comes within a minute of this alarm, with the job, the time and the cause.`;
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters', {
      queueName: letters.startRun,
      meaning: `start-run failed each time it was tried, so a run of ${deployment} was not started.`,
      whatToDo: [
        readReport,
        `If there is none, Lambda could not put the start into the queue ${letters.startRun}, or it is no start of a job of ${deployment}, and lies there: the log is /aws/lambda/${functionName}.`,
        `Mend the cause, then start the run by hand inside the downtime window: ${commandToStart(deployment, 'JOB')}`,
      ],
      topic,
      isReported: true,
      undelivered: [undeliveredOf(functionName)],
      encryptionKey,
    });
    this.function = new UpkeepFunction(this, 'Function', {
      functionName,
      description: `Starts the runs of ${deployment}`,
      entry: entryFile('start-run'),
      settings: {
        deployment,
        timeZone,
        window,
        ledgerPath,
        ...(props.isAddressed && { topicArn: topic.topicArn }),
        jobs: Lazy.any({ produce: () => this.jobs }),
      },
      timeout: Duration.seconds(60),
      deadLetterQueue: this.deadLetters.queue,
      ...(encryptionKey && { encryptionKey }),
      ...(logRetention && { logRetention }),
    });
    letPublishReports(this.function);
    this.letKeepLedger(ledgerPath);
    if (props.isAddressed)
      this.function.allow('SeeWhoIsTold', ['sns:ListSubscriptionsByTopic'], [topic.topicArn]);
    this.errorsAlarm = alarmOnAny(this, 'Errors', {
      alarmName: `${functionName}-errors`,
      meaning: `start-run of ${deployment} failed. Lambda tries it twice more, so the run may have been started a few minutes late.`,
      whatToDo: [
        `Look in the log /aws/lambda/${functionName} for the error and for "Started" after it.`,
        `If the run was not started, the alarm ${letters.startRun} rings too: go on there.`,
      ],
      topic,
      metric: this.function.function.metricErrors({ statistic: 'Sum' }),
      quietAfter: ONE_CAUSE,
      // Of what a repetition has mended nobody need be told, and of the rest its dead letters tell.
      toldBy: letters.startRun,
    });

    this.scheduleDeadLetters = new DeadLetterQueue(this, 'ScheduleDeadLetters', {
      queueName: letters.schedules,
      meaning: `EventBridge Scheduler could not hand a start to start-run of ${deployment}, so a run was not started.`,
      whatToDo: [
        readReport,
        `If there is none, Scheduler could not put the start into the queue ${letters.schedules}: look at the role of the schedules, and at the queue's key.`,
        `Mend the cause, then start the run by hand inside the downtime window: ${commandToStart(deployment, 'JOB')}`,
      ],
      topic,
      isReported: true,
      undelivered: [
        // EventBridge Scheduler User Guide, "Monitoring with CloudWatch".
        new Metric({
          namespace: 'AWS/Scheduler',
          metricName: 'InvocationsFailedToBeSentToDeadLetterCount',
          dimensionsMap: { ScheduleGroup: scheduleGroupName },
          statistic: 'Sum',
        }),
      ],
      encryptionKey,
    });
    this.scheduleGroup = new ScheduleGroup(this, 'Schedules', {
      scheduleGroupName,
      // Retained, as the construct would have it, its name would be in the way of the next deploy.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.schedulerRole = this.createSchedulerRole();
  }

  /**
   * Makes a job known to start-run, and lets start-run start it.
   * @param path of the construct that makes it.
   */
  addJob(job: string, path: string, functionArn: string, target: JobTarget): void {
    this.jobs[job] = target;
    this.jobPaths.set(job, path);
    const sid = job.replaceAll('-', '');
    this.function.allow(`Start${sid}`, ['lambda:InvokeFunction'], [target.aliasArn]);
    const executions = `${functionArn}:*`;
    this.function.allow(`FollowRunsOf${sid}`, ['lambda:GetDurableExecution'], [executions]);
    this.function.acceptWildcard(
      executions,
      "A run's ARN has the function's version that it began with, and an id that Lambda draws.",
    );
  }

  /** By which runs start once, and never beside one that is in their way. */
  private letKeepLedger(path: string): void {
    const { partition, region, account } = Stack.of(this);
    const ledger = `arn:${partition}:ssm:${region}:${account}:parameter${path}`;
    this.function.allow('ReadLedger', ['ssm:GetParametersByPath'], [ledger]);
    this.function.allow('WriteLedger', ['ssm:DeleteParameters', 'ssm:PutParameter'], [`${ledger}/*`]);
    this.function.acceptWildcard(
      `${ledger}/*`,
      'Each change of the ledger is a parameter of its own, with the next number as its name.',
    );
  }

  /** The path of the construct that makes a job, if there is one. */
  jobPath(job: string): string | undefined {
    return this.jobPaths.get(job);
  }

  /** The names of all jobs that there are by now. */
  get jobNames(): string[] {
    return [...this.jobPaths.keys()];
  }

  /** The downtime window. */
  get window(): { readonly from: string; readonly to: string } {
    return this.props.window;
  }

  /** IANA name, of the schedules. */
  get timeZone(): string {
    return this.props.timeZone;
  }

  /** Starts a job each day, each week or each month. */
  schedule(
    scope: Construct,
    id: string,
    job: string,
    schedule: DailySchedule | WeeklySchedule | MonthlySchedule,
  ): Schedule {
    const { deployment, timeZone } = this.props;
    const { at, flexibleWindow } = schedule;
    const weekday = 'weekday' in schedule ? schedule.weekday : undefined;
    const dayOfMonth = 'dayOfMonth' in schedule ? schedule.dayOfMonth : undefined;
    const when = weekday
      ? `each ${capitalized(weekday)}`
      : dayOfMonth
        ? `on day ${dayOfMonth} of each month`
        : 'daily';
    const [hour = '', minute = ''] = at.split(':');
    return new Schedule(scope, id, {
      scheduleName: `${deployment}-${job}`,
      description: `${job} of ${deployment}, ${when} at ${at} ${timeZone}`,
      scheduleGroup: this.scheduleGroup,
      schedule: ScheduleExpression.cron({
        hour: String(Number(hour)),
        minute: String(Number(minute)),
        ...(weekday && { weekDay: weekday.slice(0, 3).toUpperCase() }),
        ...(dayOfMonth && { day: String(dayOfMonth) }),
        timeZone: TimeZone.of(timeZone),
      }),
      timeWindow: flexibleWindow?.toMinutes() ? TimeWindow.flexible(flexibleWindow) : TimeWindow.off(),
      target: {
        bind: () => ({
          arn: this.function.functionArn,
          role: this.schedulerRole,
          input: ScheduleTargetInput.fromObject({
            job,
            deployment,
            scheduledFor: ContextAttribute.scheduledTime,
          }),
          retryPolicy: {
            maximumEventAgeInSeconds: SCHEDULE_EVENT_AGE.toSeconds(),
            maximumRetryAttempts: SCHEDULE_RETRIES,
          },
          deadLetterConfig: { arn: this.scheduleDeadLetters.queue.queueArn },
        }),
      },
    });
  }

  private createSchedulerRole(): Role {
    const { account } = Stack.of(this);
    const { encryptionKey, deployment } = this.props;
    const role = new Role(this, 'SchedulerRole', {
      description: `What the schedules of ${deployment} may do`,
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: {
          StringEquals: {
            'aws:SourceAccount': account,
            'aws:SourceArn': this.scheduleGroup.scheduleGroupArn,
          },
        },
      }),
    });
    role.addToPolicy(
      new PolicyStatement({
        sid: 'CallStartRun',
        actions: ['lambda:InvokeFunction'],
        resources: [this.function.functionArn],
      }),
    );
    role.addToPolicy(
      new PolicyStatement({
        sid: 'SendToDeadLetterQueue',
        actions: ['sqs:SendMessage'],
        resources: [this.scheduleDeadLetters.queue.queueArn],
      }),
    );
    if (encryptionKey)
      role.addToPolicy(
        new PolicyStatement({
          sid: 'EncryptForDeadLetterQueue',
          actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
          resources: [encryptionKey.keyArn],
          conditions: ofQueue(this, this.scheduleDeadLetters.queue.queueArn),
        }),
      );
    return role;
  }
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
