import * as v from 'valibot';

/** How to reach a deployment's WebApp. */
export interface WebAppSettings {
  /** https, without a path. */
  url: string;
  /** The one certificate, or the certificate authority, to trust: PEM. */
  certificateAuthority: string;
  /** The name in WebApp's certificate, where it is not the host of `url`. */
  serverName?: string;
  /** The Secrets Manager secret of an API user: JSON with `username` and `password`. */
  secretArn: string;
}

/** The figure of the days until WebApp's certificate is trusted no longer. */
export const CERTIFICATE_FIGURE = 'certificateDaysLeft';

/** So long before, a warning and an alarm: time for a change of the configuration and a deploy. */
export const CERTIFICATE_WARNING_DAYS = 21;

/** What a job that has the client collect garbage must know, of messages or of media. */
export interface GcSettings {
  deployment: string;
  webApp: WebAppSettings;
  /** The queue to which the callbacks bus sends the client's GC notifications of both kinds. */
  notificationsQueueUrl: string;
  /** The alarm that tells that callbacks did not come on the bus. @default there is none */
  notOnBusAlarm?: string;
  gc: {
    /** How often GC may be asked for in one run. */
    maximumCalls: number;
    /** Between a call that ended with errors and the next one. */
    pauseSeconds: number;
    /** How long to wait for the callbacks of one call. */
    callbackTimeoutSeconds: number;
  };
}

export const webAppSettingsSchema = v.object({
  url: v.string(),
  certificateAuthority: v.string(),
  serverName: v.exactOptional(v.string()),
  secretArn: v.string(),
}) satisfies v.GenericSchema<WebAppSettings>;

export const gcSettingsSchema = v.object({
  deployment: v.string(),
  webApp: webAppSettingsSchema,
  notificationsQueueUrl: v.string(),
  notOnBusAlarm: v.exactOptional(v.string()),
  gc: v.object({ maximumCalls: v.number(), pauseSeconds: v.number(), callbackTimeoutSeconds: v.number() }),
}) satisfies v.GenericSchema<GcSettings>;
