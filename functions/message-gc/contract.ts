/** message-gc's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface MessageGcSettings {
  deployment: string;
  webApp: WebAppSettings;
  /** The queue to which the callbacks bus sends the client's GC notifications of both kinds. */
  notificationsQueueUrl: string;
  gc: {
    /** How often GC may be asked for in one run. */
    maximumCalls: number;
    /** Between a call that ended with errors and the next one. */
    pauseSeconds: number;
    /** How long to wait for the callbacks of one call. */
    callbackTimeoutSeconds: number;
  };
  /** Absent: no message is marked read. */
  markRead?: {
    /** The queue to which the callbacks bus sends inbound messages. */
    queueUrl: string;
    olderThanSeconds: number;
    requestsPerSecond: number;
    concurrency: number;
  };
}

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
