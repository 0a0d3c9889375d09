import type { Duration } from 'aws-cdk-lib';
import type { Metric, MetricOptions } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { MessageGcSettings, WebAppSettings } from '../../functions/message-gc/contract.ts';
import { entryFile } from '../entry-file.ts';
import type { DailySchedule } from '../start-run.ts';
import type { Upkeep } from '../upkeep.ts';
import type { FunctionNetwork } from '../upkeep-function.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import type { CallbacksBus } from './callbacks-bus.ts';

/** Marking messages read shows to customers, as blue ticks. */
export interface MarkReadProps {
  readonly olderThan: Duration;
  readonly requestsPerSecond: number;
  readonly concurrency: number;
}

export interface MessageGcProps {
  readonly upkeep: Upkeep;
  /** Must keep unread messages if any are to be marked read. */
  readonly callbacks: CallbacksBus;
  readonly webApp: WebAppSettings;
  /** The KMS key of the API user's secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly secretKeyArn?: string;
  /** From where WebApp can be reached, and AWS's interfaces: see `ENDPOINT_SERVICES`. */
  readonly network: FunctionNetwork;
  readonly schedule: DailySchedule;
  readonly timeLimit: Duration;
  /** How often garbage collection may be asked for in one run. */
  readonly maximumCalls: number;
  /** Between a call that ended with errors and the next one. */
  readonly pause: Duration;
  /** How long to wait for the callbacks of one call: more than 15 minutes, for the client sends them that late. */
  readonly callbackTimeout: Duration;
  /** @default no message is marked read */
  readonly markRead?: MarkReadProps;
}

/** Message garbage collection of a WhatsApp client, nightly: asked for again until all nodes have done it. */
export class MessageGc extends Construct {
  readonly job: UpkeepJob;

  constructor(scope: Construct, id: string, props: MessageGcProps) {
    super(scope, id);
    const { upkeep, callbacks, webApp, network, schedule, timeLimit, markRead } = props;
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
        deployment: upkeep.deployment,
        webApp,
        notificationsQueueUrl: callbacks.gcNotifications.queueUrl,
        gc: {
          maximumCalls: props.maximumCalls,
          pauseSeconds: props.pause.toSeconds(),
          callbackTimeoutSeconds: props.callbackTimeout.toSeconds(),
        },
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
      network,
    });
    this.job.function.allow('ReadApiUser', ['secretsmanager:GetSecretValue'], [webApp.secretArn]);
    if (props.secretKeyArn)
      this.job.function.allow('DecryptApiUser', ['kms:Decrypt'], [props.secretKeyArn], {
        StringEquals: { 'kms:EncryptionContext:SecretARN': webApp.secretArn },
      });
    callbacks.letReceive(this.job.function, 'ReceiveGcNotifications', callbacks.gcNotifications);
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
