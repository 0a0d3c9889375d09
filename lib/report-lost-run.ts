import { Duration, Lazy, Stack } from 'aws-cdk-lib';
import { type Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { type EventPattern, Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { ALARM_EVENT_TYPE, type ReportLostRunSettings } from '../functions/report-lost-run/contract.ts';
import {
  deadLettersName,
  LOST_RUN_EVENT_MINUTES,
  REPORT_EVENT_SOURCE,
  REPORT_EVENT_TYPE,
  startLettersNames,
} from '../functions/shared/run/report.ts';
import { DeadLetterQueue } from './dead-letter-queue.ts';
import { entryFile } from './entry-file.ts';
import { LIST_RUNS } from './list-runs.ts';
import { letPublishReports } from './run-reports.ts';
import { alarmOnAny, ONE_CAUSE } from './upkeep-alarm.ts';
import { UpkeepFunction, undeliveredOf } from './upkeep-function.ts';

/** How the alarm on a job's dead letters begins to say what it means. */
export const LETTERS_MEANING = 'Lambda could not begin a run of ';

/** What a `ReportLostRun` is made of. */
export interface ReportLostRunProps {
  /** The deployment whose runs it reports. */
  readonly deployment: string;
  /** Where the alarms go. */
  readonly topic: ITopic;
  /** Encrypts what is kept. @default keys that AWS owns */
  readonly encryptionKey?: IKey | undefined;
  /** How long the log is kept. @default three months */
  readonly logRetention?: RetentionDays | undefined;
}

/** Notices a durable execution that ended without a report of its own, and reports it: by Lambda's status events. */
export class ReportLostRun extends Construct {
  /** The function that reports it. */
  readonly function: UpkeepFunction;
  /** Rings when the function itself fails. */
  readonly errorsAlarm: Alarm;
  /** What could not be reported ends in it. */
  readonly deadLetters: DeadLetterQueue;

  private readonly jobs: string[] = [];
  private ends: PolicyStatement | undefined;
  private runs: PolicyStatement | undefined;
  private letters: PolicyStatement | undefined;

  constructor(scope: Construct, id: string, props: ReportLostRunProps) {
    super(scope, id);
    const { deployment, topic, encryptionKey, logRetention } = props;
    const { partition, region, account, urlSuffix } = Stack.of(this);
    const functionName = `${deployment}-report-lost-run`;
    this.deadLetters = new DeadLetterQueue(this, 'DeadLetters', {
      queueName: `${functionName}-dead-letters`,
      meaning: `A run of ${deployment} died, and what should report it could not.`,
      whatToDo: [
        `Read the message: "durableExecutionName" names the run. The log is /aws/lambda/${functionName}.`,
        'Look at that execution in the Lambda console, and mend what ended it.',
        'If there is no message, neither Lambda nor EventBridge could put it there: look at the queue, its policy and its key.',
      ],
      topic,
      undelivered: [
        undeliveredOf(functionName),
        // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
        new Metric({
          namespace: 'AWS/Events',
          metricName: 'InvocationsFailedToBeSentToDlq',
          dimensionsMap: { RuleName: Lazy.string({ produce: () => rule.ruleName }) },
          statistic: 'Sum',
        }),
      ],
      encryptionKey,
    });
    this.function = new UpkeepFunction(this, 'Function', {
      functionName,
      description: `Reports the runs of ${deployment} that ended without a report`,
      entry: entryFile('report-lost-run'),
      settings: {
        deployment,
        jobs: Lazy.list({ produce: () => this.jobs }),
        queues: `https://sqs.${region}.${urlSuffix}/${account}`,
      } satisfies ReportLostRunSettings,
      timeout: Duration.seconds(60),
      deadLetterQueue: this.deadLetters.queue,
      ...(encryptionKey && { encryptionKey }),
      ...(logRetention && { logRetention }),
    });
    letPublishReports(this.function);
    this.errorsAlarm = alarmOnAny(this, 'Errors', {
      alarmName: `${functionName}-errors`,
      meaning: `report-lost-run of ${deployment} failed: a run died, and its report may be missing. Lambda tries it twice more.`,
      whatToDo: [
        `Look in the log /aws/lambda/${functionName} for the error.`,
        `If it failed each time, the alarm ${functionName}-dead-letters rings too: go on there.`,
      ],
      topic,
      metric: this.function.function.metricErrors({ statistic: 'Sum' }),
      quietAfter: ONE_CAUSE,
      // Of what a repetition has mended nobody need be told, and of the rest its dead letters tell.
      toldBy: `${functionName}-dead-letters`,
    });
    const alarms = `arn:${partition}:cloudwatch:${region}:${account}:alarm:${deployment}-*`;
    this.function.allow('WhatRang', ['cloudwatch:DescribeAlarmHistory'], [alarms]);
    this.function.acceptWildcard(
      alarms,
      "Which of the deployment's alarms has told of a run's problem is said by that problem, as the one of the service at which a roll stopped.",
    );
    const rule = new Rule(this, 'Rule', {
      description: `Runs of ${deployment} that failed for Lambda, timed out or were stopped, those of which other alarms tell, letters that lie, and starts that failed`,
      // The construct's type knows no `$or`.
      eventPattern: {
        $or: [
          {
            source: ['aws.lambda'],
            'detail-type': ['Durable Execution Status Change'],
            detail: {
              status: ['FAILED', 'TIMED_OUT', 'STOPPED'],
              // Not each job's: a pattern has room for 2,048 characters (EventBridge quotas), which ten jobs would fill. Of
              // another deployment whose name begins like this one's the function does nothing.
              functionArn: [
                { prefix: `arn:${partition}:lambda:${region}:${account}:function:${deployment}-` },
              ],
            },
          },
          {
            source: [REPORT_EVENT_SOURCE],
            'detail-type': [REPORT_EVENT_TYPE],
            detail: {
              deployment: [deployment],
              problems: { toldBy: { alarm: [{ prefix: `${deployment}-` }] } },
            },
          },
          {
            source: ['aws.cloudwatch'],
            'detail-type': [ALARM_EVENT_TYPE],
            detail: {
              alarmName: [{ wildcard: deadLettersName(deployment, '*') }],
              // Not each job's name, for the same reason: so begins what the alarms on letters of runs say, and no other.
              configuration: { description: [{ prefix: LETTERS_MEANING }] },
              state: { value: ['ALARM'] },
            },
          },
          {
            source: ['aws.cloudwatch'],
            'detail-type': [ALARM_EVENT_TYPE],
            // Off, too: for a start that failed while the alarm was on already.
            detail: {
              alarmName: Object.values(startLettersNames(deployment)),
              $or: [{ state: { value: ['ALARM'] } }, { previousState: { value: ['ALARM'] } }],
            },
          },
        ],
      } as EventPattern,
      targets: [
        new LambdaFunction(this.function.function, {
          deadLetterQueue: this.deadLetters.queue,
          retryAttempts: 10,
          maxEventAge: Duration.minutes(LOST_RUN_EVENT_MINUTES),
        }),
      ],
    });
  }

  /**
   * Watches the runs of a job.
   * @param letters its dead letters: the one of a run that has been told is taken from them, and one that lies there is told.
   */
  watch(job: string, functionArn: string, letters: Queue): void {
    this.jobs.push(job);
    const versions = `${functionArn}:*`;
    this.ends ??= this.function.allow('HowRunsEnded', ['lambda:GetDurableExecutionHistory'], [versions]);
    this.runs ??= this.function.allow('WhetherRunsBegan', LIST_RUNS, [functionArn, versions]);
    this.ends.addResources(versions);
    this.runs.addResources(functionArn, versions);
    this.letTake(letters);
    this.function.acceptWildcard(
      versions,
      "A run is on record under the function's version that it began with, one more after each deploy.",
    );
  }

  /** Watches the starts of runs: what could not be started is told, and taken from these queues. */
  watchStarts(...letters: Queue[]): void {
    for (const each of letters) this.letTake(each);
  }

  private letTake({ queueArn }: Queue): void {
    this.letters ??= this.function.allow(
      'TakeLetters',
      ['sqs:DeleteMessage', 'sqs:ReceiveMessage'],
      [queueArn],
    );
    this.letters.addResources(queueArn);
  }
}
