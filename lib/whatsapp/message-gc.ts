import type { Duration } from 'aws-cdk-lib';
import type { Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { MessageGcSettings } from '../../functions/message-gc/contract.ts';
import { entryFile } from '../entry-file.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import { type GcProps, gcSettings, letCollectGarbage } from './gc-job.ts';

/** Marking messages read shows to customers, as blue ticks. */
export interface MarkReadProps {
  readonly olderThan: Duration;
  readonly requestsPerSecond: number;
  readonly concurrency: number;
}

/** `callbacks` must keep unread messages if any are to be marked read. */
export interface MessageGcProps extends GcProps {
  /** @default no message is marked read */
  readonly markRead?: MarkReadProps;
}

/** Message garbage collection of a WhatsApp client, nightly: asked for again until all nodes have done it. */
export class MessageGc extends Construct {
  readonly job: UpkeepJob;

  constructor(scope: Construct, id: string, props: MessageGcProps) {
    super(scope, id);
    const { upkeep, callbacks, network, schedule, timeLimit, markRead } = props;
    const { unreadMessages } = callbacks;
    if (markRead && !unreadMessages)
      throw new Error(
        `${this.node.path}: messages can be marked read only if its CallbacksBus has keepUnreadMessages.`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: 'message-gc',
      description: `Message garbage collection of ${upkeep.deployment}`,
      entry: entryFile('message-gc'),
      settings: {
        ...gcSettings(props),
        ...(markRead &&
          unreadMessages && {
            markRead: {
              queueUrl: unreadMessages.queueUrl,
              olderThanSeconds: markRead.olderThan.toSeconds(),
              requestsPerSecond: markRead.requestsPerSecond,
              concurrency: markRead.concurrency,
            },
          }),
      } satisfies MessageGcSettings,
      schedule,
      timeLimit,
      // They share the queue of callbacks, which name no run.
      conflictsWith: ['media-gc'],
      network,
    });
    letCollectGarbage(this.job.function, props);
    if (markRead && unreadMessages)
      // The attributes tell that SQS gives nothing more because too much is in flight.
      callbacks.letReceive(this.job.function, 'ReceiveUnreadMessages', unreadMessages, [
        'sqs:GetQueueAttributes',
      ]);
  }

  /** Garbage collections asked for. @default the sum over five minutes */
  metricCalls(options?: MetricOptions): Metric {
    return this.job.metric('Calls', options);
  }

  /** Messages that the nodes say they deleted. @default the sum over five minutes */
  metricMessagesDeleted(options?: MetricOptions): Metric {
    return this.job.metric('MessagesDeleted', options);
  }

  /** Messages marked read, by one request per sender. @default the sum over five minutes */
  metricMessagesMarkedRead(options?: MetricOptions): Metric {
    return this.job.metric('MessagesMarkedRead', options);
  }
}
