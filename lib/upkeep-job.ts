import { CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import { type Alarm, Metric, type MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { Alias, type IVersion } from 'aws-cdk-lib/aws-lambda';
import type { Schedule } from 'aws-cdk-lib/aws-scheduler';
import { Construct } from 'constructs';
import {
  crashingAlarmName,
  DURATION_METRIC,
  deadLettersName,
  LETTER_TAKEN_MINUTES,
  LOST_METRIC,
  LOST_TOLD_METRIC,
  METRIC_NAMESPACE,
  OUTCOME_METRICS,
  TOLD_METRICS,
  UNTOLD_METRICS,
} from '../functions/shared/run/report.ts';
import type { Finding } from './checks/mistakes.ts';
import { checkProps } from './checks/props.ts';
import { DeadLetterQueue } from './dead-letter-queue.ts';
import {
  alarmOnMissing,
  alarmOnMissingMonthly,
  alarmOnMissingWeekly,
  hoursUntilMissed,
  monthlyHours,
  shownHour,
  weeklyHours,
} from './missed-alarm.ts';
import { LETTERS_MEANING } from './report-lost-run.ts';
import { letPublishReports } from './run-reports.ts';
import {
  commandToStart,
  type DailySchedule,
  JOB_EVENT_AGE,
  LATEST_START,
  type MonthlySchedule,
  shellCommandToStart,
  type WeeklySchedule,
} from './start-run.ts';
import type { Upkeep } from './upkeep.ts';
import { alarmOnCrashes, alarmOnOthers } from './upkeep-alarm.ts';
import { UpkeepFunction, undeliveredOf } from './upkeep-function.ts';
import {
  type JobReference,
  jobFindings,
  UPKEEP_JOB_NAMES,
  UPKEEP_JOB_PROPS,
  type UpkeepJobProps,
} from './upkeep-job-props.ts';

/** Lambda's longest. */
const INVOCATION = Duration.minutes(15);
/** After the time limit, for the run to finish the step it is in and to report, before Lambda ends it by force. */
const GRACE = Duration.minutes(15);
/** How long a run's history can be looked at, and its name is taken. */
const HISTORY = Duration.days(30);

/** A job: a durable function that runs daily, weekly, monthly or on demand for a deployment, with its role, log, schedule, metrics and alarms. */
export class UpkeepJob extends Construct {
  /** What it shares with the other jobs of its deployment. */
  readonly upkeep: Upkeep;
  /** The job's name. */
  readonly job: string;
  /** The durable function that does the work. */
  readonly function: UpkeepFunction;
  /** What start-run calls. Runs keep to the version behind it when they began. */
  readonly alias: Alias;
  /** When it starts by itself; `undefined` where only a person starts it. */
  readonly schedule: Schedule | undefined;
  /** Runs that Lambda could not begin or bring to an end. */
  readonly deadLetters: DeadLetterQueue;
  /** Rings when a run failed. */
  readonly failedAlarm: Alarm;
  /** Rings when a run did only a part. */
  readonly partialAlarm: Alarm;
  /** Of a job that has a schedule. */
  readonly missedAlarm: Alarm | undefined;
  /** Rings when a run ended without a report of its own. */
  readonly lostAlarm: Alarm;
  /** Of the invocations, which a run has many of. */
  readonly crashingAlarm: Alarm;

  constructor(scope: Construct, id: string, props: UpkeepJobProps) {
    super(scope, id);
    checkProps(
      this,
      UPKEEP_JOB_PROPS,
      props,
      () => [...this.stackFindings(props), ...jobFindings(props)],
      UPKEEP_JOB_NAMES,
    );
    const {
      upkeep,
      job,
      schedule,
      timeLimit,
      conflictsWith = [],
      waitsFor = [],
      outsideWindow = false,
      network,
    } = props;
    const { deployment, topic, encryptionKey, logRetention } = upkeep;
    const functionName = `${deployment}-${job}`;
    const crashing = crashingAlarmName(deployment, job);
    const letters = deadLettersName(deployment, job);
    this.upkeep = upkeep;
    this.job = job;
    this.node.addValidation({
      validate: () => [
        ...this.missingJobs('conflictsWith', conflictsWith),
        ...this.missingJobs('waitsFor', waitsFor),
      ],
    });
    const longest = timeLimit.plus(GRACE);

    const orWait = schedule ? 'wait for the next scheduled run, or ' : '';
    const when = outsideWindow ? '' : ' inside the downtime window';
    const again = `Mend the cause; then ${orWait}start one by hand${when}`;
    const history = `the run's history in the Lambda console (function ${functionName}, "Durable executions")`;
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters', {
      queueName: letters,
      meaning: `${LETTERS_MEANING}${job} for ${deployment}, or not bring it to its end, put its event here, and nothing has told of it.`,
      whatToDo: [
        `Read the run's report: the log /aws/lambda/${deployment}-report-lost-run, message "Run report", newest first. It comes within a minute of this alarm, with the event of the run.`,
        `If ${history} does not have the run, Lambda had no room for it: look at the concurrency of the account and of the function ${functionName}. If it is there, see in it what ended it.`,
        `${again}.`,
      ],
      topic,
      // The letters of runs that began and were lost come there too: report-lost-run takes them out once it has told of them, and what
      // it has not told once this alarm rings.
      takenWithin: Duration.minutes(LETTER_TAKEN_MINUTES),
      encryptionKey,
    });
    this.function = new UpkeepFunction(this, 'Function', {
      functionName,
      description: props.description,
      entry: props.entry,
      importsToLeaveOut: props.importsToLeaveOut,
      rdsRegions: props.rdsRegions,
      settings: props.settings,
      timeout: INVOCATION,
      memorySize: props.memorySize ?? 512,
      durable: { executionTimeout: longest, retention: HISTORY },
      deadLetterQueue: this.deadLetters.queue,
      ...(network && { network }),
      ...(encryptionKey && { encryptionKey }),
      ...(logRetention && { logRetention }),
    });
    letPublishReports(this.function);
    this.alias = new Alias(this, 'Live', {
      aliasName: 'live',
      // Only under exactOptionalPropertyTypes are the CDK's own types at odds here.
      version: this.function.function.currentVersion as IVersion,
      description: 'What start-run starts',
    });
    this.alias.configureAsyncInvoke({ maxEventAge: JOB_EVENT_AGE, retryAttempts: 0 });
    const others = conflictsWith.map((other) => (typeof other === 'string' ? other : other.job));
    upkeep.startRun.addJob(job, this.node.path, this.function.functionArn, {
      aliasArn: this.alias.functionArn,
      timeLimitSeconds: timeLimit.toSeconds(),
      longestSeconds: longest.plus(JOB_EVENT_AGE).toSeconds(),
      conflictsWith: others,
      ...(waitsFor.length > 0 && { waitsFor }),
      ...(outsideWindow && { outsideWindow }),
    });
    upkeep.reportLostRun.watch(job, this.function.functionArn, this.deadLetters.queue);
    this.schedule = schedule && upkeep.startRun.schedule(this, 'Schedule', job, schedule);
    // Scheduler looks, when a schedule is made, whether it can assume the role: by then that is as old as all this takes.
    this.schedule?.node.addDependency(this.alias);

    const report = `Read its report: the log /aws/lambda/${functionName}, message "Run report", newest first. Each problem there says what, where and what next.`;
    const againBy = `${again}: ${commandToStart(deployment, job)}`;
    this.failedAlarm = alarmOnOthers(this, 'Failed', {
      alarmName: `${functionName}-failed`,
      meaning: `A run of ${job} for ${deployment} failed.`,
      whatToDo: [report, againBy],
      topic,
      all: this.metricRunsFailed(),
      toldElsewhere: [this.metricRunsLost(), this.metric(TOLD_METRICS.failed)],
      nowhere: this.metric(UNTOLD_METRICS.failed),
      label: 'runs that failed with a report of their own, of which no other alarm has told',
    });
    this.partialAlarm = alarmOnOthers(this, 'Partial', {
      alarmName: `${functionName}-partial`,
      meaning: `A run of ${job} for ${deployment} did some of its work, and could not do the rest.`,
      whatToDo: [report, againBy],
      topic: upkeep.warningTopic,
      all: this.metricRunsPartial(),
      toldElsewhere: [this.metric(TOLD_METRICS.partial)],
      nowhere: this.metric(UNTOLD_METRICS.partial),
      label: 'partial runs of which no other alarm has told',
    });
    this.lostAlarm = alarmOnOthers(this, 'Lost', {
      alarmName: `${functionName}-lost`,
      meaning: `A run of ${job} for ${deployment} failed, timed out, was stopped or was never begun, without leaving a report of its own.`,
      whatToDo: [
        `Read the report of it: the log /aws/lambda/${deployment}-report-lost-run, message "Run report", newest first. Look at ${history} and at the log /aws/lambda/${functionName} for what ended it.`,
        `If neither has it, Lambda could not begin it, nor put its event into the queue ${letters}: look at the queue and its key, and at the concurrency of the account.`,
        againBy,
      ],
      topic,
      all: this.metricRunsLost(),
      toldElsewhere: [this.metric(LOST_TOLD_METRIC)],
      // Of a run that never began nobody else would tell.
      besides: undeliveredOf(functionName, 'DeadLetterErrors'),
      label: 'lost runs of which no other alarm has told, and letters that Lambda could not put away',
    });
    this.crashingAlarm = alarmOnCrashes(this, 'Crashing', {
      alarmName: crashing,
      meaning: `Invocations of ${functionName} end by force, at their timeout or again and again. A run gives up after three in a row, with a report; where it cannot, Lambda repeats them until its own time is over.`,
      whatToDo: [
        `Look in the log /aws/lambda/${functionName} for how they end: memory, time, an error at the start.`,
        `If the run goes on, stop it in the Lambda console (function ${functionName}, "Durable executions"): until it ends, jobs that conflict with it are skipped. No other alarm tells of its end.`,
        againBy,
      ],
      topic,
      errors: this.function.function.metricErrors({ statistic: 'Sum' }),
      duration: this.function.function.metricDuration({ statistic: 'Maximum' }),
      timeout: INVOCATION,
    });
    this.missedAlarm = schedule && this.createMissedAlarm(props, schedule, againBy);
    new CfnOutput(this, 'StartCommand', {
      value: shellCommandToStart(deployment, job),
      description: `Starts ${job} by hand`,
    });
  }

  /** A metric of this job's runs. @default the sum over five minutes */
  metric(metricName: string, options?: MetricOptions): Metric {
    return new Metric({
      namespace: METRIC_NAMESPACE,
      metricName,
      dimensionsMap: { deployment: this.upkeep.deployment, job: this.job },
      statistic: 'Sum',
      ...options,
    });
  }

  /** Runs that did all they had to. @default the sum over five minutes */
  metricRunsSucceeded(options?: MetricOptions): Metric {
    return this.metric(OUTCOME_METRICS.succeeded, options);
  }

  /** Runs that did some of their work. @default the sum over five minutes */
  metricRunsPartial(options?: MetricOptions): Metric {
    return this.metric(OUTCOME_METRICS.partial, options);
  }

  /** Runs that failed, the lost ones too. @default the sum over five minutes */
  metricRunsFailed(options?: MetricOptions): Metric {
    return this.metric(OUTCOME_METRICS.failed, options);
  }

  /** Runs that were not to start, such as one delivered after the window. @default the sum over five minutes */
  metricRunsSkipped(options?: MetricOptions): Metric {
    return this.metric(OUTCOME_METRICS.skipped, options);
  }

  /** Runs that ended without a report of their own. @default the sum over five minutes */
  metricRunsLost(options?: MetricOptions): Metric {
    return this.metric(LOST_METRIC, options);
  }

  /** How long runs took, in seconds. @default the maximum over five minutes */
  metricRunSeconds(options?: MetricOptions): Metric {
    return this.metric(DURATION_METRIC, { statistic: 'Maximum', ...options });
  }

  /** What starts it needs it, and it needs what starts it: by themselves two stacks would wait for each other. */
  private stackFindings({ upkeep, schedule }: UpkeepJobProps): Finding[] {
    const [own, other] = [this, upkeep].map((each) => outermostStack(Stack.of(each)));
    if (!schedule || own === other) return [];
    return [
      {
        field: ['upkeep'],
        problem: `is of the stack ${other?.node.path}; it must be of the stack of the job, ${own?.node.path}. What is in other stacks, such as services, can be given to the job itself.`,
      },
    ];
  }

  /** Others can be made after this one: whether they are there is known at the end. */
  private missingJobs(field: string, references: JobReference[]): string[] {
    const { jobNames } = this.upkeep.startRun;
    return references.flatMap((reference, index) =>
      typeof reference !== 'string' || jobNames.includes(reference)
        ? []
        : [
            `${this.node.path}: ${field}[${index}] is "${reference}", which is no job of ${this.upkeep.deployment}; it must be one of ${jobNames.join(', ')}.`,
          ],
    );
  }

  private createMissedAlarm(
    { upkeep, job, timeLimit }: UpkeepJobProps,
    schedule: DailySchedule | WeeklySchedule | MonthlySchedule,
    again: string,
  ): Alarm {
    const { deployment, topic } = upkeep;
    const functionName = `${deployment}-${job}`;
    const success = {
      flexibleWindow: schedule.flexibleWindow ?? Duration.minutes(0),
      startDelay: LATEST_START,
      timeLimit,
    };
    const isWeekly = 'weekday' in schedule;
    const hours = isWeekly ? weeklyHours(schedule, upkeep.startRun.timeZone, success) : undefined;
    const months =
      'dayOfMonth' in schedule ? monthlyHours(schedule, upkeep.startRun.timeZone, success) : undefined;
    const day = 'dayOfMonth' in schedule ? schedule.dayOfMonth : 0;
    const when = months
      ? `around day ${day} of the month, ${schedule.at} ${upkeep.startRun.timeZone}, when its monthly run is due`
      : hours
        ? `from ${shownHour(hours.first)} to ${shownHour(hours.first + hours.count)} UTC, in which its weekly run is due`
        : `for ${hoursUntilMissed(success)} hours; it is due daily at ${schedule.at} ${upkeep.startRun.timeZone}`;
    const missed = {
      alarmName: `${functionName}-missed`,
      meaning: `No run of ${job} for ${deployment} has done or told anything ${when}: perhaps none began. ${hours || months ? 'This alarm is quiet again after an hour.' : 'Further missed days send no new message while this alarm is on.'}`,
      whatToDo: [
        `Look whether the schedule ${functionName} (EventBridge Scheduler, group ${deployment}-upkeep) is there and enabled.`,
        `Look in the log /aws/lambda/${deployment}-start-run for the last start, and whether it was skipped and why.`,
        again,
      ],
      topic,
      successes: this.metricRunsSucceeded(),
      partials: this.metricRunsPartial(),
      failures: this.metricRunsFailed(),
    };
    if (months) return alarmOnMissingMonthly(this, 'Missed', { ...missed, hours: months });
    return hours
      ? alarmOnMissingWeekly(this, 'Missed', { ...missed, hours })
      : alarmOnMissing(this, 'Missed', { ...missed, daily: success });
  }
}

function outermostStack(stack: Stack): Stack {
  return stack.nestedStackParent ? outermostStack(stack.nestedStackParent) : stack;
}
