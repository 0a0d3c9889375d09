import { Duration } from 'aws-cdk-lib';
import type { Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acceptFinding } from './accept-finding.ts';
import { encryptedQueue } from './encryption.ts';
import { alarmOnAny, ONE_CAUSE } from './upkeep-alarm.ts';

/** What a `DeadLetterQueue` is made of. */
export interface DeadLetterQueueProps {
  /** Also the name of its alarm. */
  readonly queueName: string;
  /** What it means that something is in it, one sentence. */
  readonly meaning: string;
  /** What to do about it; how to clear the queue is added. */
  readonly whatToDo: string[];
  /** Where the alarms go. */
  readonly topic: ITopic;
  /**
   * Whether its messages come from another queue that gave them up: SQS counts no sending then, and the alarm is on while one lies there.
   * @default a service sends them, and each that comes rings, so that what lies there does not hide what comes later
   */
  readonly isOfQueue?: boolean;
  /**
   * So long something must lie in the queue, where what others have told of is taken out of it, and once the alarm rings for it the
   * rest too: then the next one rings anew.
   * @default it rings as soon as something comes
   */
  readonly takenWithin?: Duration;
  /**
   * Whether report-lost-run takes out what comes, once the alarm has gone on and once it is off again: then it is quiet soon, so that
   * the next one rings anew.
   * @default somebody takes it out by hand
   */
  readonly isReported?: boolean;
  /** What could not be put into the queue, for which the alarm rings too: nobody else would tell of it. @default nothing is known of it */
  readonly undelivered?: Metric[];
  /** @default encrypted by SQS */
  readonly encryptionKey?: IKey | undefined;
}

/** A queue for what could not be delivered, and the alarm that rings for it. Keeps it for 14 days. */
export class DeadLetterQueue extends Construct {
  /** The queue itself. */
  readonly queue: Queue;
  /** Rings when a message comes, or while one lies in it. */
  readonly alarm: Alarm;

  constructor(scope: Construct, id: string, props: DeadLetterQueueProps) {
    super(scope, id);
    const { queueName, meaning, topic, encryptionKey, takenWithin, isOfQueue, isReported } = props;
    this.queue = letterQueue(this, { queueName, encryptionKey });
    this.alarm = alarmOnAny(this, 'Alarm', {
      alarmName: queueName,
      meaning,
      topic,
      whatToDo: [
        ...props.whatToDo,
        ...(takenWithin || isReported
          ? []
          : [
              `Delete the message from the queue ${queueName} (SQS console, "Send and receive messages") once it is dealt with${isOfQueue ? '; until then this alarm stays on' : ''}.`,
            ]),
      ],
      ...(isOfQueue || takenWithin
        ? {
            metric: this.queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum' }),
            ...(takenWithin && { lastsFor: takenWithin }),
          }
        : {
            metric: [
              this.queue.metricNumberOfMessagesSent({ statistic: 'Sum' }),
              ...(props.undelivered ?? []),
            ],
            ...(!isReported && { quietAfter: ONE_CAUSE }),
          }),
    });
  }
}

/** The queue of dead letters alone. */
export function letterQueue(
  scope: Construct,
  { queueName, encryptionKey }: Pick<DeadLetterQueueProps, 'queueName' | 'encryptionKey'>,
): Queue {
  const queue = encryptedQueue(scope, 'Queue', {
    queueName,
    encryptionKey,
    retentionPeriod: Duration.days(14),
  });
  acceptFinding(queue, {
    id: 'AwsSolutions-SQS3',
    reason: 'It is a dead-letter queue itself, of functions, rules, schedules or another queue.',
  });
  return queue;
}
