import type { Duration } from 'aws-cdk-lib';
import type { GcSettings, WebAppSettings } from '../../functions/shared/whatsapp/settings.ts';
import { ofSecret } from '../encryption.ts';
import type { DailySchedule, WeeklySchedule } from '../start-run.ts';
import type { Upkeep } from '../upkeep.ts';
import type { FunctionNetwork, UpkeepFunction } from '../upkeep-function.ts';
import type { CallbacksBus } from './callbacks-bus.ts';

/** What a job needs that has the client collect garbage, of messages or of media. */
export interface GcProps {
  readonly upkeep: Upkeep;
  readonly callbacks: CallbacksBus;
  readonly webApp: WebAppSettings;
  /** The KMS key of the API user's secret. @default the account's own key for Secrets Manager, which needs no permission */
  readonly webAppSecretKeyArn?: string;
  /** From where WebApp can be reached, and AWS's interfaces: see `ENDPOINT_SERVICES`. */
  readonly network: FunctionNetwork;
  readonly schedule: DailySchedule | WeeklySchedule;
  readonly timeLimit: Duration;
  /** How often garbage collection may be asked for in one run. */
  readonly maximumCalls: number;
  /** Between a call that ended with errors and the next one. */
  readonly pause: Duration;
  /** How long to wait for the callbacks of one call: more than 15 minutes, for the client sends them that late. */
  readonly callbackTimeout: Duration;
}

export function gcSettings({
  upkeep,
  callbacks,
  webApp,
  maximumCalls,
  pause,
  callbackTimeout,
}: GcProps): GcSettings {
  return {
    deployment: upkeep.deployment,
    webApp,
    notificationsQueueUrl: callbacks.gcNotifications.queueUrl,
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
