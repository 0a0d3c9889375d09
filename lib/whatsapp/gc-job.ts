import { Duration } from 'aws-cdk-lib';
import { type Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { notOnBusAlarmName } from '../../functions/callback-relay/contract.ts';
import { metricName } from '../../functions/shared/run/report.ts';
import {
  CERTIFICATE_FIGURE,
  CERTIFICATE_WARNING_DAYS,
  type GcSettings,
  type WebAppSettings,
} from '../../functions/shared/whatsapp/settings.ts';
import type { Finding } from '../checks/mistakes.ts';
import { lessThanTimeLimit } from '../checks/props.ts';
import { ofSecret } from '../encryption.ts';
import { type FunctionNetwork, networkFindings } from '../function-network.ts';
import { letListRuns } from '../list-runs.ts';
import type { DailySchedule, WeeklySchedule } from '../start-run.ts';
import type { Upkeep } from '../upkeep.ts';
import { createAlarm } from '../upkeep-alarm.ts';
import type { UpkeepFunction } from '../upkeep-function.ts';
import type { UpkeepJob } from '../upkeep-job.ts';
import type { CallbacksBus } from './callbacks-bus.ts';

/** What a job needs that has the client collect garbage, of messages or of media. */
export interface GcProps {
  /** What this deployment's jobs share. */
  readonly upkeep: Upkeep;
  /** The bus on which the client's callbacks come. */
  readonly callbacks: CallbacksBus;
  /** How WebApp is reached, and by which API user. */
  readonly webApp: WebAppSettings;
  /** The KMS key of the API user's secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly webAppSecretKeyArn?: string;
  /** From where WebApp can be reached, and AWS's interfaces: see `ENDPOINT_SERVICES`. */
  readonly network: FunctionNetwork;
  /** When it runs. */
  readonly schedule: DailySchedule | WeeklySchedule;
  /** How long a run may take, counted from its scheduled time. */
  readonly timeLimit: Duration;
  /** How often garbage collection may be asked for in one run. */
  readonly maximumCalls: number;
  /** Between a call that ended with errors and the next one. */
  readonly pause: Duration;
  /**
   * Whether a `CallbackRelay` of this deployment puts the callbacks on the bus: of those that do not come because it could not, its
   * alarm tells, and no other.
   * @default the business's webhook does
   */
  readonly relayed?: boolean;
  /** How long to wait for the callbacks of one call: more than 15 minutes, for the client sends them that late. */
  readonly callbackTimeout: Duration;
}

/** What no single property of such a job can say. */
export function gcFindings({ network, callbacks, upkeep, callbackTimeout, timeLimit }: GcProps): Finding[] {
  return [
    ...networkFindings(network),
    ...(callbacks.deployment === upkeep.deployment
      ? []
      : [
          {
            field: ['callbacks'],
            problem: `are of the deployment "${callbacks.deployment}", whose client this is not; they must be of "${upkeep.deployment}".`,
          },
        ]),
    ...lessThanTimeLimit('callbackTimeout', callbackTimeout, timeLimit),
  ];
}

export function gcSettings({
  upkeep,
  callbacks,
  webApp,
  maximumCalls,
  pause,
  callbackTimeout,
  relayed,
}: GcProps): GcSettings {
  return {
    deployment: upkeep.deployment,
    webApp: { ...webApp, url: webApp.url.replace(/\/$/, '') },
    notificationsQueueUrl: callbacks.gcNotifications.queueUrl,
    ...(relayed && { notOnBusAlarm: notOnBusAlarmName(upkeep.deployment) }),
    gc: {
      maximumCalls,
      pauseSeconds: pause.toSeconds(),
      callbackTimeoutSeconds: callbackTimeout.toSeconds(),
    },
  };
}

/** Lets a job's function log in to WebApp and receive the callbacks. */
export function letCollectGarbage(
  upkeepFunction: UpkeepFunction,
  { webApp, webAppSecretKeyArn, callbacks }: GcProps,
): void {
  letLogIn(upkeepFunction, webApp, webAppSecretKeyArn);
  callbacks.letReceive(upkeepFunction, 'ReceiveGcNotifications', callbacks.gcNotifications);
  const { functionArn } = upkeepFunction;
  letListRuns(upkeepFunction, 'FindEarlierRuns', [functionArn]);
  upkeepFunction.allow('ReadEarlierRuns', ['lambda:GetDurableExecution'], [`${functionArn}:*`]);
}

/** Rings before WebApp's certificate is trusted no longer. Where message-gc and media-gc both look, message-gc's alarm tells of it. */
export function alarmOnCertificate(scope: Construct, job: UpkeepJob, { upkeep, webApp }: GcProps): Alarm {
  const { deployment, warningTopic: topic } = upkeep;
  return createAlarm(
    scope,
    'Certificate',
    {
      alarmName: certificateAlarmName(deployment, job.job),
      meaning: `The certificate of WebApp of ${deployment}, or the authority that is configured for it, ends within ${CERTIFICATE_WARNING_DAYS} days. From then on every run fails.`,
      whatToDo: [
        `Read the last report: the log /aws/lambda/${deployment}-${job.job}, message "Run report": it gives the day.`,
        `Renew the certificate in WebApp (${webApp.url}). Before that, put the new one beside the old one into the file that certificateAuthority names, and deploy: several may stand in it.`,
        'The alarm is quiet again after the next run that sees the new certificate.',
      ],
      topic,
      toldBy: () =>
        job.job !== 'message-gc' && job.upkeep.startRun.jobNames.includes('message-gc')
          ? certificateAlarmName(deployment, 'message-gc')
          : undefined,
    },
    {
      metric: job.metric(metricName(CERTIFICATE_FIGURE), {
        statistic: 'Minimum',
        period: Duration.minutes(5),
      }),
      threshold: CERTIFICATE_WARNING_DAYS,
      comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
      evaluationPeriods: 1,
      // It is looked at in runs: what was true then stays true until the next one.
      treatMissingData: TreatMissingData.IGNORE,
    },
  );
}

/** Lets a function log in to WebApp. */
export function letLogIn(
  upkeepFunction: UpkeepFunction,
  { secretArn }: WebAppSettings,
  secretKeyArn: string | undefined,
): void {
  upkeepFunction.allow('ReadApiUser', ['secretsmanager:GetSecretValue'], [secretArn]);
  if (secretKeyArn)
    upkeepFunction.allow(
      'DecryptApiUser',
      ['kms:Decrypt'],
      [secretKeyArn],
      ofSecret(upkeepFunction, secretArn),
    );
}

function certificateAlarmName(deployment: string, job: string): string {
  return `${deployment}-${job}-certificate`;
}
