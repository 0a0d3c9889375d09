import { Duration } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { IEventBus } from 'aws-cdk-lib/aws-events';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { CfnFunction, type FunctionUrl, FunctionUrlAuthType } from 'aws-cdk-lib/aws-lambda';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import * as v from 'valibot';
import {
  CALLBACK_SOURCE,
  type CallbackRelaySettings,
  RELAY_JOB,
  RELAY_METRICS,
} from '../functions/callback-relay/contract.ts';
import { METRIC_NAMESPACE } from '../functions/shared/run/report.ts';
import { deploymentName, wholeNumber } from './checks/fields.ts';
import { checkProps, duration, propertyNames } from './checks/props.ts';
import { secretPathHashes, webhookUrl } from './checks/relay.ts';
import { entryFile } from './entry-file.ts';
import { type FunctionNetwork, networkFindings } from './function-network.ts';
import { alarmOnAny, createAlarm, ONE_CAUSE } from './upkeep-alarm.ts';
import { UpkeepFunction } from './upkeep-function.ts';

/** How long a callback may wait for the bus: some hundred times what EventBridge usually takes, cold start included. */
const BUS_TIMEOUT = Duration.seconds(2);
/** For the start of the function and its metrics, beside what it waits for. */
const MARGIN = Duration.seconds(5);
/** Of the alarms on the webhook: three periods, a quarter of an hour. */
const PERIOD = Duration.minutes(5);
const LASTING_PERIODS = 3;
/** Below Lambda's 6 MB for a request, in which a body can have grown by its escapes. */
const LARGEST_BODY = 5 * 1024 * 1024;

/** What a `CallbackRelay` is made of. */
export interface CallbackRelayProps {
  /** Begins the names of what is made. */
  readonly deployment: string;
  /** Gets each callback as an event's detail, verbatim. */
  readonly bus: Pick<IEventBus, 'eventBusArn'>;
  /** Where the alarms go. */
  readonly topic: ITopic;
  /**
   * The business's webhook: https. Stands in the template; where a part of it is a secret, give a dynamic reference
   * (`SecretValue.secretsManager(…).unsafeUnwrap()`), which puts it in the function's environment only.
   */
  readonly webhookUrl: string;
  /**
   * SHA-256, in hexadecimal, of each secret path that is admitted: two while one replaces the other. The client's
   * callback URL is the function's with the path itself, which stands nowhere else. To make both:
   * `openssl rand -hex 32 | tee path.txt | tr -d '\n' | sha256sum`. Take no path that somebody could guess: its hash can be read.
   */
  readonly secretPathHashes: string[];
  /** What signed the webhook's certificate, as PEM. @default the public authorities */
  readonly certificateAuthority?: string;
  /** After which the client is told that the webhook did not answer, and sends again later. @default 20 seconds */
  readonly webhookTimeout?: Duration;
  /** A larger body is refused: at most, and by default, 5 MiB. @default 5242880 */
  readonly maximumBytes?: number;
  /**
   * The most requests at once. Keeps strangers, who can call the URL and are turned away, from using up the
   * concurrency of the account. More than the client's `webhooks.max_concurrent_requests`, 24 at most.
   * @default no limit but the account's: a limit takes its number from all other functions
   */
  readonly maximumConcurrency?: number;
  /** For a webhook that can be reached in a VPC only. @default not in a VPC */
  readonly network?: FunctionNetwork;
  /** Encrypts the log and the function's environment. @default keys that AWS owns */
  readonly encryptionKey?: IKey | undefined;
  /** How long the log is kept. @default three months */
  readonly logRetention?: RetentionDays | undefined;
}

/**
 * A URL for the client's callbacks, for those who cannot change their webhook: passes each on to the webhook, returns its
 * status, and puts the callback on the bus beside it. What goes wrong with the bus rings an alarm and nothing else.
 */
export class CallbackRelay extends Construct {
  /** The function behind the URL. */
  readonly function: UpkeepFunction;
  /** The client's callback URL is its `url` with the secret path. */
  readonly functionUrl: FunctionUrl;
  /** Rings when a callback went to the webhook and could not be put on the bus. */
  readonly notOnBusAlarm: Alarm;
  /** Rings when the webhook does not answer callbacks with 200. */
  readonly webhookFailsAlarm: Alarm;
  /** Rings when the webhook takes half of `webhookTimeout` on average. */
  readonly webhookSlowAlarm: Alarm;
  /** Rings when a callback is too large for an event of the bus. */
  readonly tooLargeForBusAlarm: Alarm;
  /** Rings when a callback is larger than the relay takes. */
  readonly overLimitAlarm: Alarm;
  /** Rings when the function itself fails. */
  readonly errorsAlarm: Alarm;
  /** Rings when requests are turned away for want of concurrency. */
  readonly throttlesAlarm: Alarm;

  private readonly deployment: string;

  constructor(scope: Construct, id: string, props: CallbackRelayProps) {
    super(scope, id);
    checkProps(this, PROPS, props, () => networkFindings(props.network), NAMES);
    const { deployment, bus, topic, encryptionKey, logRetention, network, maximumConcurrency } = props;
    const webhookTimeout = props.webhookTimeout ?? Duration.seconds(20);
    const functionName = `${deployment}-${RELAY_JOB}`;
    this.deployment = deployment;
    this.function = new UpkeepFunction(this, 'Function', {
      functionName,
      description: `Passes the callbacks of ${deployment} to its webhook and to the callbacks bus`,
      entry: entryFile('callback-relay'),
      settings: {
        deployment,
        secretPathHashes: props.secretPathHashes,
        webhookUrl: props.webhookUrl,
        ...(props.certificateAuthority && { certificateAuthority: props.certificateAuthority }),
        webhookTimeoutMilliseconds: webhookTimeout.toMilliseconds(),
        busTimeoutMilliseconds: BUS_TIMEOUT.toMilliseconds(),
        maximumBytes: props.maximumBytes ?? LARGEST_BODY,
        bus: bus.eventBusArn,
      } satisfies CallbackRelaySettings,
      timeout: webhookTimeout.plus(BUS_TIMEOUT).plus(MARGIN),
      // Lambda gives processor time by memory: with less, TLS and signing take several times as long.
      memorySize: 1024,
      ...(network && { network }),
      ...(encryptionKey && { encryptionKey }),
      ...(logRetention && { logRetention }),
    });
    this.function.allow('PutCallbacks', ['events:PutEvents'], [bus.eventBusArn], {
      StringEquals: { 'events:source': CALLBACK_SOURCE },
    });
    const made = this.function.function.node.defaultChild;
    if (maximumConcurrency !== undefined && made instanceof CfnFunction)
      made.reservedConcurrentExecutions = maximumConcurrency;
    // The client can sign nothing: who may call is said by the path.
    this.functionUrl = this.function.function.addFunctionUrl({ authType: FunctionUrlAuthType.NONE });

    const log = `Look in the log /aws/lambda/${functionName} for the code of the error.`;
    const lost =
      'A GC notification that was lost is asked for again by the next run; an inbound message that was lost is not marked read.';
    const alarm = (alarmId: string, name: string, meaning: string, whatToDo: string[], metric: Metric) =>
      alarmOnAny(this, alarmId, {
        alarmName: `${functionName}-${name}`,
        meaning,
        whatToDo,
        topic,
        metric,
        quietAfter: ONE_CAUSE,
      });
    this.notOnBusAlarm = alarm(
      'NotOnBus',
      'not-on-bus',
      `Callbacks of ${deployment} went to the webhook and not on the callbacks bus.`,
      [
        log,
        'AccessDeniedException: a policy was changed by hand; deploy the stack again. TimedOut: see the AWS Health Dashboard for EventBridge. MalformedDetail: the client sent what is no JSON object.',
        lost,
      ],
      this.metricNotOnBus(),
    );
    const test =
      "The client sends only a few callbacks at once, so a webhook that fails or is slow holds up all of them, GC notifications too. Look at the webhook's own log and load.";
    const lasting = (alarmId: string, name: string, meaning: string, metric: Metric, threshold: number) =>
      createAlarm(
        this,
        alarmId,
        { alarmName: `${functionName}-${name}`, meaning, whatToDo: [test, log], topic },
        {
          metric,
          threshold,
          comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
          evaluationPeriods: LASTING_PERIODS,
          treatMissingData: TreatMissingData.NOT_BREACHING,
        },
      );
    this.webhookFailsAlarm = lasting(
      'WebhookFails',
      'webhook-fails',
      `For a quarter of an hour the webhook of ${deployment} has not answered every callback with 200. The client sends those again.`,
      this.metricNotTaken({ period: PERIOD }),
      1,
    );
    this.webhookSlowAlarm = lasting(
      'WebhookSlow',
      'webhook-slow',
      `For a quarter of an hour the webhook of ${deployment} has taken ${webhookTimeout.toSeconds() / 2} seconds for a callback on average, which is half of what it is given.`,
      this.metric(RELAY_METRICS.webhookMilliseconds, { statistic: 'Average', period: PERIOD }),
      webhookTimeout.toMilliseconds() / 2,
    );
    this.tooLargeForBusAlarm = alarm(
      'TooLargeForBus',
      'too-large-for-bus',
      `Callbacks of ${deployment} went to the webhook and are larger than the 1 MB that EventBridge takes.`,
      [`Look in the log /aws/lambda/${functionName} for their sizes.`, lost],
      this.metricTooLargeForBus(),
    );
    this.overLimitAlarm = alarm(
      'OverLimit',
      'over-limit',
      `Callbacks of ${deployment} are larger than the relay takes, and were refused: the client sends them again and again.`,
      [
        'Raise the limit of the relay (maximumBytes), which can be 5 MiB.',
        "If it is that already, let the webhook take callbacks itself: set the client's callback URL to it, and have it put them on the bus.",
      ],
      this.metricOverLimit(),
    );
    this.errorsAlarm = alarm(
      'Errors',
      'errors',
      `The relay of ${deployment} failed, and the client sends those callbacks again.`,
      [
        `Look in the log /aws/lambda/${functionName} for the error.`,
        "If it does not end, set the client's callback URL to the webhook for the time being: callbacks then miss the bus, and nothing else.",
      ],
      this.function.function.metricErrors(),
    );
    this.throttlesAlarm = alarm(
      'Throttles',
      'throttles',
      `Lambda turned callbacks of ${deployment} away because too many came at once; the client sends them again.`,
      [
        'Compare the metrics RelayRequestsRefused and CallbacksRelayed: do strangers call?',
        'If not, raise maximumConcurrency, or the quota of concurrent executions of the account.',
      ],
      this.function.function.metricThrottles(),
    );
  }

  /** A metric of the relay. @default the sum over five minutes */
  metric(metricName: string, options?: MetricOptions): Metric {
    return new Metric({
      namespace: METRIC_NAMESPACE,
      metricName,
      dimensionsMap: { deployment: this.deployment, job: RELAY_JOB },
      statistic: 'Sum',
      ...options,
    });
  }

  /** Callbacks that went to the webhook. @default the sum over five minutes */
  metricRelayed(options?: MetricOptions): Metric {
    return this.metric(RELAY_METRICS.relayed, options);
  }

  /** Callbacks that the webhook did not answer with 200. @default the sum over five minutes */
  metricNotTaken(options?: MetricOptions): Metric {
    return this.metric(RELAY_METRICS.notTaken, options);
  }

  /** Callbacks that went to the webhook and not on the bus. @default the sum over five minutes */
  metricNotOnBus(options?: MetricOptions): Metric {
    return this.metric(RELAY_METRICS.notOnBus, options);
  }

  /** Callbacks that went to the webhook and are too large for the bus. @default the sum over five minutes */
  metricTooLargeForBus(options?: MetricOptions): Metric {
    return this.metric(RELAY_METRICS.tooLargeForBus, options);
  }

  /** Callbacks larger than the relay takes. @default the sum over five minutes */
  metricOverLimit(options?: MetricOptions): Metric {
    return this.metric(RELAY_METRICS.overLimit, options);
  }

  /** Requests of those who do not know the path, and others that are no callbacks. @default the sum over five minutes */
  metricRequestsRefused(options?: MetricOptions): Metric {
    return this.metric(RELAY_METRICS.refused, options);
  }

  /** What the relay adds to the time that the webhook takes. @default the 99th percentile over five minutes */
  metricAddedMilliseconds(options?: MetricOptions): Metric {
    return this.metric(RELAY_METRICS.addedMilliseconds, { statistic: 'p99', ...options });
  }
}

const NAMES = propertyNames<CallbackRelayProps>({
  deployment: true,
  bus: true,
  topic: true,
  webhookUrl: true,
  secretPathHashes: true,
  certificateAuthority: true,
  webhookTimeout: true,
  maximumBytes: true,
  maximumConcurrency: true,
  network: true,
  encryptionKey: true,
  logRetention: true,
});

const PROPS = v.looseObject({
  deployment: deploymentName('Begins the names of what is made.'),
  webhookUrl: webhookUrl('The webhook.'),
  secretPathHashes: secretPathHashes('Of the paths that are admitted.'),
  webhookTimeout: v.optional(duration(Duration.seconds(1), Duration.minutes(5))),
  // Lambda takes no more than 6 MB with all around it.
  maximumBytes: v.optional(wholeNumber(1, LARGEST_BODY, 'A larger body is refused.')),
  maximumConcurrency: v.optional(wholeNumber(1, 1000, 'The most requests at once.')),
});
