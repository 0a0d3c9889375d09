import { Duration } from 'aws-cdk-lib';
import {
  type Alarm,
  ComparisonOperator,
  type Metric,
  type MetricOptions,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import * as v from 'valibot';
import {
  type ApplicationSettingsSettings,
  DIFFERING_SETTINGS_FIGURE,
} from '../../functions/application-settings/contract.ts';
import { metricName } from '../../functions/shared/run/report.ts';
import type { WebAppSettings } from '../../functions/shared/whatsapp/settings.ts';
import { checkProps, passesPropsOn } from '../checks/props.ts';
import { entryFile } from '../entry-file.ts';
import { type FunctionNetwork, networkFindings } from '../function-network.ts';
import type { DailySchedule, WeeklySchedule } from '../start-run.ts';
import type { Upkeep } from '../upkeep.ts';
import { createAlarm } from '../upkeep-alarm.ts';
import { UpkeepJob } from '../upkeep-job.ts';
import { settingsNamedTwice, wantedSettingsEntries } from './configuration/application-settings-schema.ts';
import { letLogIn } from './gc-job.ts';
import { WEB_APP } from './prop-schemas.ts';

/**
 * Values of WebApp's own settings, by the names that Meta gives them, an object within another by a dot. What is not named is
 * neither compared nor set. https://developers.facebook.com/docs/whatsapp/on-premises/reference/settings/app
 */
export interface WantedSettings {
  /** Whether the client collects messages by itself. */
  readonly 'garbagecollector_enable.messages'?: boolean | undefined;
  /** Whether it collects media by itself. */
  readonly 'garbagecollector_enable.media'?: boolean | undefined;
  /** Of older versions, in place of these two. */
  readonly db_garbagecollector_enable?: boolean | undefined;
  /** Which inbound media it downloads by itself: image, video, voice, sticker, audio, document. */
  readonly 'media.auto_download'?: string[] | undefined;
  /** Whether callbacks are kept until the webhook took them. */
  readonly callback_persist?: boolean | undefined;
  /** By how much longer it waits after each failure of a callback, in milliseconds. */
  readonly callback_backoff_delay_ms?: number | undefined;
  /** How long it waits at the most, in milliseconds. */
  readonly max_callback_backoff_delay_ms?: number | undefined;
  /** Callbacks at once: 6, 12, 18 or 24. */
  readonly 'webhooks.max_concurrent_requests'?: number | undefined;
  /** Whether a callback tells that a message was sent. */
  readonly 'webhooks.message.sent'?: boolean | undefined;
  /** Whether a callback tells that a message was delivered. */
  readonly 'webhooks.message.delivered'?: boolean | undefined;
  /** Whether a callback tells that a message was read. */
  readonly 'webhooks.message.read'?: boolean | undefined;
  /** Of versions before 2.41.2, in place of `webhooks.message.sent`. */
  readonly sent_status?: boolean | undefined;
  /** Of versions before 2.35: whether messages are deleted once they are delivered. */
  readonly pass_through?: boolean | undefined;
  /** How often the Masters look at the CoreApps, in seconds. */
  readonly heartbeat_interval?: number | undefined;
  /** After how many seconds without an answer the shard of a CoreApp goes to another one. */
  readonly unhealthy_interval?: number | undefined;
}

/** What an `ApplicationSettings` is made of. */
export interface ApplicationSettingsProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** How WebApp is reached, and by which user: an administrator, for WebApp shows its settings to no other. */
  readonly webApp: WebAppSettings;
  /** The KMS key of that user's secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly webAppSecretKeyArn?: string;
  /** From where WebApp can be reached, and AWS's interfaces: see `ENDPOINT_SERVICES`. */
  readonly network: FunctionNetwork;
  /** When it runs. */
  readonly schedule: DailySchedule | WeeklySchedule;
  /** How long a run may take, counted from its scheduled time. */
  readonly timeLimit: Duration;
  /** Where WebApp has another value, that is told, and not changed. @default none is compared */
  readonly expected?: WantedSettings;
  /** Where WebApp has another value, it is set to this one. @default none is set */
  readonly settings?: WantedSettings;
}

const PROPS = v.looseObject({ webApp: WEB_APP, ...wantedSettingsEntries });

/**
 * Looks after WebApp's own settings that decide how fast the client's databases, media and callbacks grow: reports them, tells where
 * they are not as expected, and sets those that it is to set, with the value before in the report.
 */
export class ApplicationSettings extends Construct {
  /** The job underneath: its function, schedule and alarms. */
  readonly job: UpkeepJob;
  /** Rings when a setting is not as expected. Of settings that could not be set the job's own alarms tell. */
  readonly driftAlarm: Alarm;

  constructor(scope: Construct, id: string, props: ApplicationSettingsProps) {
    super(scope, id);
    passesPropsOn(this);
    checkProps(this, PROPS, props, () => [...networkFindings(props.network), ...settingsNamedTwice(props)]);
    const { upkeep, webApp, webAppSecretKeyArn, network, schedule, timeLimit } = props;
    this.job = new UpkeepJob(this, 'Job', {
      upkeep,
      job: 'application-settings',
      description: `WebApp's own settings of ${upkeep.deployment}`,
      entry: entryFile('application-settings'),
      settings: {
        deployment: upkeep.deployment,
        webApp: { ...webApp, url: webApp.url.replace(/\/$/, '') },
        expected: { ...props.expected },
        set: { ...props.settings },
      } satisfies ApplicationSettingsSettings,
      schedule,
      timeLimit,
      network,
    });
    letLogIn(this.job.function, webApp, webAppSecretKeyArn);
    this.driftAlarm = this.createDriftAlarm(upkeep, webApp);
  }

  /** Settings that are not as expected. @default the largest number in five minutes */
  metricSettingsDiffering(options?: MetricOptions): Metric {
    return this.job.metric(metricName(DIFFERING_SETTINGS_FIGURE), { statistic: 'Maximum', ...options });
  }

  /** Settings that were set. @default the sum over five minutes */
  metricSettingsChanged(options?: MetricOptions): Metric {
    return this.job.metric('SettingsChanged', options);
  }

  private createDriftAlarm({ deployment, warningTopic: topic }: Upkeep, { url }: WebAppSettings): Alarm {
    return createAlarm(
      this,
      'Drift',
      {
        alarmName: `${deployment}-application-settings-drift`,
        meaning: `A setting of WebApp of ${deployment} is not as its configuration expects it: somebody changed it, or an upgrade of the client did. Databases, media or callbacks may grow otherwise than before.`,
        whatToDo: [
          `Read the last report: the log /aws/lambda/${deployment}-application-settings, message "Run report". Each problem there names a setting, its value and the expected one.`,
          `Set it back as an administrator of WebApp (PATCH ${url}/v1/settings/application), or correct jobs.applicationSettings.expected and deploy.`,
          'The alarm is quiet again after the next run that finds all as expected.',
        ],
        topic,
      },
      {
        metric: this.metricSettingsDiffering({ period: Duration.minutes(5) }),
        threshold: 1,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluationPeriods: 1,
        // They are looked at in runs: what was true then stays true until the next one.
        treatMissingData: TreatMissingData.IGNORE,
      },
    );
  }
}
