import { Duration } from 'aws-cdk-lib';
import type { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acceptFinding } from './accept-finding.ts';
import { encryptedQueue } from './encryption.ts';
import { alarmOnAny } from './upkeep-alarm.ts';

export interface DeadLetterQueueProps {
  /** Also the name of its alarm. */
  readonly queueName: string;
  /** What it means that something is in it, one sentence. */
  readonly meaning: string;
  /** What to do about it; how to clear the queue is added. */
  readonly whatToDo: string[];
  readonly topic: ITopic;
  /** @default encrypted by SQS */
  readonly encryptionKey?: IKey | undefined;
}

/** A queue for what could not be delivered, and the alarm that rings while anything is in it. Keeps it for 14 days. */
export class DeadLetterQueue extends Construct {
  readonly queue: Queue;
  readonly alarm: Alarm;

  constructor(scope: Construct, id: string, props: DeadLetterQueueProps) {
    super(scope, id);
    const { queueName, meaning, topic, encryptionKey } = props;
    this.queue = encryptedQueue(this, 'Queue', {
      queueName,
      encryptionKey,
      retentionPeriod: Duration.days(14),
    });
    acceptFinding(this.queue, {
      id: 'AwsSolutions-SQS3',
      reason: 'It is a dead-letter queue itself, of functions, rules, schedules or another queue.',
    });
    this.alarm = alarmOnAny(this, 'Alarm', {
      alarmName: queueName,
      meaning,
      whatToDo: [
        ...props.whatToDo,
        `Delete the message from the queue ${queueName} (SQS console, "Send and receive messages") once it is dealt with; until then this alarm stays on.`,
      ],
      topic,
      metric: this.queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum' }),
    });
  }
}
