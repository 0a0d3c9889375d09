/** callback-relay's environment variable `UPKEEP_SETTINGS`, as JSON. Its events are a function URL's. */
export interface CallbackRelaySettings {
  deployment: string;
  /**
   * SHA-256 of each secret path that is admitted, in hexadecimal. The path itself is with the client only: what is long
   * and random cannot be found from its hash, and so the function needs no secret, nor a service to read one from.
   */
  secretPathHashes: string[];
  /** The business's webhook. */
  webhookUrl: string;
  /** What signed the webhook's certificate, as PEM, where that is no public authority. */
  certificateAuthority?: string;
  /** After which the client is told that the webhook did not answer. */
  webhookTimeoutMilliseconds: number;
  /** How long a request may wait for the bus, from its beginning on. The webhook is called meanwhile. */
  busTimeoutMilliseconds: number;
  /** A larger body is refused. */
  maximumBytes: number;
  /** Name or ARN of the callbacks bus. */
  bus: string;
}

/** `source` of the events that carry callbacks. */
export const CALLBACK_SOURCE = 'whatsapp';

/** `detail-type` of the events that carry callbacks. */
export const CALLBACK_TYPE = 'WhatsApp Callback';

/** Each event names its deployment. */
const LONGEST_DEPLOYMENT_NAME = 24;

/** EventBridge's limit on the entries of a request together, in bytes (January 2026; before, a quarter of it), less the rest. */
export const MAXIMUM_DETAIL_BYTES =
  1024 * 1024 - CALLBACK_SOURCE.length - CALLBACK_TYPE.length - LONGEST_DEPLOYMENT_NAME;

/** `job` in the dimensions of the relay's metrics. */
export const RELAY_JOB = 'callback-relay';

/** The relay's metrics, of one request each. */
export const RELAY_METRICS = {
  /** Callbacks that were passed to the webhook. */
  relayed: 'CallbacksRelayed',
  /** Callbacks that the webhook did not answer with 200, so that the client sends them again. */
  notTaken: 'CallbacksNotTaken',
  /** Callbacks that were passed to the webhook and did not get on the bus. */
  notOnBus: 'CallbacksNotOnBus',
  /** Callbacks that were passed to the webhook and are too large for the bus. */
  tooLargeForBus: 'CallbacksTooLargeForBus',
  /** Callbacks that were refused, because they are larger than the relay's limit. */
  overLimit: 'CallbacksOverLimit',
  /** Requests of somebody who does not know the secret path, or that are not a POST. */
  refused: 'RelayRequestsRefused',
  /** From the request to its answer, without the time that the webhook took. */
  addedMilliseconds: 'RelayAddedMilliseconds',
  /** For a callback that it took: one that waits in vain is not slow besides. */
  webhookMilliseconds: 'WebhookMilliseconds',
} as const;

/** The name of the alarm on callbacks that were passed to the webhook and did not get on the bus. */
export function notOnBusAlarmName(deployment: string): string {
  return `${deployment}-${RELAY_JOB}-not-on-bus`;
}
