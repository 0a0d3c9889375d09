import { Duration } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type IWidget,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import {
  type MessageGcSettings,
  type MessageSet,
  QUIET_WINDOW_FIGURE,
  ROW_FIGURES,
} from '../../functions/message-gc/contract.ts';
import { metricName } from '../../functions/shared/run/report.ts';
import { bundledFor } from '../bundled-for.ts';
import { field, wholeNumber } from '../checks/fields.ts';
import { checkProps, duration, passesPropsOn, refuse } from '../checks/props.ts';
import { graph, type OnDashboard } from '../dashboards/on-dashboard.ts';
import { entryFile } from '../entry-file.ts';
import { createAlarm } from '../upkeep-alarm.ts';
import { MAXIMUM_SETTINGS_BYTES } from '../upkeep-function.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import {
  type ClientDatabases,
  letReadPastMetrics,
  letReadSizes,
  MESSAGE_DATABASE,
  setNameOf,
} from './client-databases.ts';
import { watchWindowSchema } from './configuration/fields.ts';
import { alarmOnCertificate, type GcProps, gcFindings, gcSettings, letCollectGarbage } from './gc-job.ts';
import { GC_PROPS, SETS, setNameFindings } from './prop-schemas.ts';
import { type WatchedTraffic, watchedTraffic, watchedTrafficFindings } from './watched-traffic.ts';

/** What a queue's URL can take, of which the stack has only a short token: the longest region, and a name of 80 characters. */
const QUEUE_URL_BYTES = 140;

/** Marking messages read shows to customers, as blue ticks. */
export interface MarkReadProps {
  /** Messages younger than this stay unread until they are old enough. */
  readonly olderThan: Duration;
  /** The most requests to WebApp a second. */
  readonly requestsPerSecond: number;
  /** The most requests to WebApp at once. */
  readonly concurrency: number;
}

/** `callbacks` must keep unread messages if any are to be marked read. */
export interface MessageGcProps extends GcProps {
  /** @default no message is marked read */
  readonly markRead?: MarkReadProps;
  /**
   * Where the rows of `messages` are told before and after, by the server's own estimates, and whether garbage collection
   * has any effect on them.
   * @default the rows are not told, and the callbacks are believed
   */
  readonly sets?: ClientDatabases[];
  /**
   * Where it is told once a week whether the downtime window is still quiet, and an alarm rings where it is not: by the callbacks on the
   * bus, by the requests or connections of a load balancer, named as its ARN ends (`app/…`, `net/…`), or by what a DB instance of RDS
   * is sent.
   * @default it is not told
   */
  readonly watchWindow?: WatchedTraffic;
}

const PROPS = v.looseObject({
  ...GC_PROPS,
  markRead: v.optional(
    field(
      v.looseObject({
        olderThan: duration(Duration.hours(1), Duration.hours(312)),
        requestsPerSecond: wholeNumber(1, 100, 'The most requests to WebApp in a second.'),
        concurrency: wholeNumber(1, 50, 'The most requests to WebApp at once.'),
      }),
      'an object with "olderThan", "requestsPerSecond" and "concurrency"',
      'Marks inbound messages read.',
    ),
  ),
  sets: v.optional(SETS),
  watchWindow: v.optional(watchWindowSchema),
});

/** Message garbage collection of a WhatsApp client, nightly: asked for again until all nodes have done it. */
export class MessageGc extends Construct implements OnDashboard {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** Rings when WebApp's certificate is about to expire. */
  readonly certificateAlarm: Alarm;
  /** Rings when the downtime window is no longer quiet, where that is watched. */
  readonly windowAlarm: Alarm | undefined;
  /** Whether it reads from databases, and the metrics of earlier runs. */
  readonly tellsRows: boolean;

  constructor(scope: Construct, id: string, props: MessageGcProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, PROPS, { ...props, sets: props.sets?.length === 0 ? undefined : props.sets }, () => [
      ...gcFindings(props),
      ...setNameFindings(props.sets ?? []),
      ...watchedTrafficFindings(props.watchWindow),
    ]);
    const { upkeep, callbacks, network, schedule, timeLimit, markRead, sets = [], watchWindow } = props;
    const { unreadMessages } = callbacks;
    if (markRead && !unreadMessages)
      refuse(this, `messages can be marked read only if its CallbacksBus has keepUnreadMessages.`);
    const settings = {
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
      ...(sets.length > 0 && { sets: sets.map(messageSet) }),
      ...(watchWindow && {
        watchWindow: {
          traffic: watchedTraffic(upkeep.deployment, watchWindow),
          window: { from: upkeep.startRun.window.from, to: upkeep.startRun.window.to },
          timeZone: upkeep.startRun.timeZone,
        },
      }),
    } satisfies MessageGcSettings;
    const bytes = Buffer.byteLength(JSON.stringify(settings)) + (markRead ? 2 : 1) * QUEUE_URL_BYTES;
    if (bytes > MAXIMUM_SETTINGS_BYTES)
      refuse(
        this,
        `the settings take ${bytes} bytes, of which ${MAXIMUM_SETTINGS_BYTES} fit into the function's environment. Give shorter certificates ("rds" takes nearly nothing for a database), or no databases (tellRows: false).`,
      );
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: 'message-gc',
      description: `Message garbage collection of ${upkeep.deployment}`,
      entry: entryFile('message-gc'),
      ...bundledFor(
        this,
        sets.map(({ database }) => database),
      ),
      settings,
      schedule,
      timeLimit,
      // The one shares the queue of callbacks, which name no run; the other restarts the nodes.
      conflictsWith: ['media-gc', 'credential-rotation'].map((job) => ({ job, optional: true })),
      network,
    });
    letCollectGarbage(this.job.function, props);
    this.certificateAlarm = alarmOnCertificate(this, this.job, props);
    if (markRead && unreadMessages)
      // The attributes tell that SQS gives nothing more because too much is in flight.
      callbacks.letReceive(this.job.function, 'ReceiveUnreadMessages', unreadMessages, [
        'sqs:GetQueueAttributes',
      ]);
    this.tellsRows = sets.length > 0;
    if (this.tellsRows) letReadSizes(this.job.function, sets);
    else if (watchWindow) letReadPastMetrics(this.job.function);
    if (watchWindow) this.windowAlarm = this.alarmOnWindow();
  }

  /** What was deleted, and how often it was asked for. */
  dashboardWidgets(): IWidget[] {
    const { deployment } = this.job.upkeep;
    const period = Duration.days(1);
    return [
      graph(`Messages deleted of ${deployment}`, [this.metricMessagesDeleted({ period }).attachTo(this)]),
      graph(`Message garbage collections of ${deployment}`, [this.metricCalls({ period }).attachTo(this)]),
    ];
  }

  private alarmOnWindow(): Alarm {
    const { deployment, warningTopic: topic } = this.job.upkeep;
    return createAlarm(
      this,
      'Window',
      {
        alarmName: `${deployment}-message-gc-window`,
        meaning: `The downtime window of ${deployment} is no longer quiet: more than one and a half times as much comes in it as in the quietest hours of as long, in an ordinary week of the last four. Its jobs meet the customers' traffic.`,
        whatToDo: [
          `See the week, and which window would be quiet: npx wa-upkeep window ${deployment}`,
          'If it is so for good, change "window" in the configuration, and the times of the jobs, which must lie in it, and deploy. No schedule moves by itself.',
          'The alarm is quiet again after the Monday on which the window is.',
        ],
        topic,
      },
      {
        metric: this.job.metric(metricName(QUIET_WINDOW_FIGURE), {
          statistic: 'Minimum',
          period: Duration.minutes(5),
        }),
        threshold: 1,
        comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
        evaluationPeriods: 1,
        // It is looked at once a week: what was true then stays true until the next time.
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
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

  /** Rows of `messages` before, of all sets. Missing where they were unknown. @default the largest number in five minutes */
  metricMessageRowsBefore(options?: MetricOptions): Metric {
    return this.job.metric(metricName(ROW_FIGURES.before), { statistic: 'Maximum', ...options });
  }

  /** Rows of `messages` after, of all sets. Missing where they were unknown. @default the largest number in five minutes */
  metricMessageRowsAfter(options?: MetricOptions): Metric {
    return this.job.metric(metricName(ROW_FIGURES.after), { statistic: 'Maximum', ...options });
  }
}

function messageSet(client: ClientDatabases): MessageSet {
  const { prefix, database, secretArn } = client;
  return { name: setNameOf(client), database, secretArn, databases: [`${prefix}${MESSAGE_DATABASE}`] };
}
