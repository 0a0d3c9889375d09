import { Duration } from 'aws-cdk-lib';
import type { Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acceptFinding } from './accept-finding.ts';
import { encryptedQueue } from './encryption.ts';
import { alarmOnAny } from './upkeep-alarm.ts';

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
   * Counts what comes that somebody has to be told of, where other alarms tell of the rest: the alarm then rings for that alone.
   * @default it rings while anything is in the queue
   */
  readonly untold?: Metric;
  /** @default encrypted by SQS */
  readonly encryptionKey?: IKey | undefined;
}

/** A queue for what could not be delivered, and the alarm that rings for it. Keeps it for 14 days. */
export class DeadLetterQueue extends Construct {
  /** The queue itself. */
  readonly queue: Queue;
  /** Rings while a message is in it, or when one comes of which no other alarm tells. */
  readonly alarm: Alarm;

  constructor(scope: Construct, id: string, props: DeadLetterQueueProps) {
    super(scope, id);
    const { queueName, meaning, topic, encryptionKey, untold } = props;
    this.queue = letterQueue(this, { queueName, encryptionKey });
    const deleteIt = `Delete the message from the queue ${queueName} (SQS console, "Send and receive messages") once it is dealt with`;
    this.alarm = alarmOnAny(this, 'Alarm', {
      alarmName: queueName,
      meaning,
      topic,
      whatToDo: [...props.whatToDo, untold ? `${deleteIt}.` : `${deleteIt}; until then this alarm stays on.`],
      metric: untold ?? this.queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum' }),
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
