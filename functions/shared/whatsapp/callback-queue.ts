import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { namingErrors } from '../run/naming-errors.ts';
import { REQUEST_LIMITS } from '../run/request-limits.ts';

/** SQS's limit on the messages of one request. */
const BATCH_SIZE = 10;

const BATCHES_AT_ONCE = 10;

/** How long what is to be sent waits for the rest of a batch. */
const GATHERING_MS = 1000;

/** Of messages in flight in a standard queue. With long polling nothing says that it was reached: receives come back empty. */
const IN_FLIGHT_LIMIT = 120_000;

/** Long polling, so that every server of SQS is asked; a short poll may miss what is there. */
const LONG_POLL_SECONDS = 1;

/** EventBridge's have 36 characters; what else may stand there is kept no longer. */
const LONGEST_ID = 64;

/** An event tells its time to the second, and a webhook that sets it does so by its own clock. */
const EVENT_TIME_ERRS_MS = 60_000;

const sqs = namingErrors(new SQSClient({ requestHandler: REQUEST_LIMITS }));

/** A callback of the client, as the callbacks bus put it into a queue. */
export interface QueuedCallback {
  receiptHandle: string;
  /** The client's payload, or `undefined` if the message is not an event of the bus. */
  callback: unknown;
  /** The event's `resources`, by which a webhook may name the deployment that the callback is of. */
  deployments: string[];
  /** EventBridge's name of the event: the same in each delivery of it. */
  eventId?: string;
  /** It was on its way by then: epoch milliseconds. */
  sentBy?: number;
}

/** One receive: at most ten callbacks; none means that the queue has none to give at present. */
export async function receiveCallbacks(
  queueUrl: string,
  visibilitySeconds: number,
): Promise<QueuedCallback[]> {
  const { Messages: messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: BATCH_SIZE,
      VisibilityTimeout: visibilitySeconds,
      WaitTimeSeconds: LONG_POLL_SECONDS,
      MessageSystemAttributeNames: ['SentTimestamp'],
    }),
  );
  return messages.map(({ Body: body = '', ReceiptHandle: receiptHandle = '', Attributes: attributes }) => ({
    receiptHandle,
    ...eventOf(body, Number(attributes?.SentTimestamp)),
  }));
}

/** Deletes what was received. A callback that could not be deleted comes again, which every reader here bears. */
export async function deleteCallbacks(queueUrl: string, receiptHandles: string[]): Promise<void> {
  await eachBatch(receiptHandles, (batch) =>
    sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: batch.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle })),
      }),
    ),
  );
}

/** What was received, and for how long it is hidden from now on; 0 gives it back at once. */
export interface HiddenCallback {
  receiptHandle: string;
  seconds: number;
}

/** Hides what was received for another while, counted from now; 0 gives it back at once. */
export async function hideCallbacks(queueUrl: string, callbacks: HiddenCallback[]): Promise<void> {
  await eachBatch(callbacks, (batch) =>
    sqs.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl: queueUrl,
        Entries: batch.map(({ receiptHandle, seconds }, index) => ({
          Id: String(index),
          ReceiptHandle: receiptHandle,
          VisibilityTimeout: seconds,
        })),
      }),
    ),
  );
}

/** Whether SQS gives nothing more because too many messages are in flight. */
export async function isAtInFlightLimit(queueUrl: string): Promise<boolean> {
  const { Attributes: attributes } = await sqs.send(
    new GetQueueAttributesCommand({
      QueueUrl: queueUrl,
      AttributeNames: ['ApproximateNumberOfMessagesNotVisible'],
    }),
  );
  return Number(attributes?.ApproximateNumberOfMessagesNotVisible ?? 0) >= IN_FLIGHT_LIMIT;
}

/** How many callbacks a queue holds, hidden ones too, as SQS counts them: approximately. Undefined where it does not say. */
export async function callbacksIn(queueUrl: string): Promise<number | undefined> {
  try {
    const { Attributes: attributes = {} } = await sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: queueUrl,
        AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
      }),
    );
    const counts = Object.values(attributes).map(Number);
    return counts.length > 0 ? counts.reduce((sum, count) => sum + count, 0) : undefined;
  } catch {
    // A figure is not worth a run.
    return undefined;
  }
}

/**
 * Tries to take a callback out of a queue that there is not: whether the queue is there, and whether we may, without touching what
 * waits in it. (A callback that is received counts as received, and after some times is put away.)
 * @throws SQSServiceException if there is no such queue, or it may not be
 */
export async function tryToDelete(queueUrl: string): Promise<void> {
  await sqs.send(
    new DeleteMessageBatchCommand({
      QueueUrl: queueUrl,
      Entries: [{ Id: '0', ReceiptHandle: Buffer.from('none').toString('base64') }],
    }),
  );
}

/** What comes one by one is sent in whole batches, and after a second as it is. */
export interface InBatches<T> {
  /** Whoever makes a batch whole waits until it is sent. */
  add(items: T[]): Promise<void>;
  /** Sends what is left. */
  flush(): Promise<void>;
}

/** Gathers what is sent to SQS, so that whoever does something for each does not wait for a request of its own each time. */
export function inBatches<T>(send: (batch: T[]) => Promise<void>): InBatches<T> {
  let gathered: T[] = [];
  let since = 0;
  const flush = async () => {
    const batch = gathered;
    gathered = [];
    if (batch.length > 0) await send(batch);
  };
  return {
    async add(items) {
      if (items.length === 0) return;
      if (gathered.length === 0) since = Date.now();
      gathered.push(...items);
      if (gathered.length >= BATCH_SIZE || Date.now() - since >= GATHERING_MS) await flush();
    },
    flush,
  };
}

/** Several batches at once, so that tens of thousands of messages are dealt with in seconds. */
async function eachBatch<T>(items: readonly T[], send: (batch: T[]) => Promise<unknown>): Promise<void> {
  const starts = Array.from(
    { length: Math.ceil(items.length / BATCH_SIZE) },
    (_, index) => index * BATCH_SIZE,
  );
  const work = async () => {
    for (let start = starts.shift(); start !== undefined; start = starts.shift())
      await send(items.slice(start, start + BATCH_SIZE));
  };
  await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, work));
}

/** @param queued when it came into the queue: epoch milliseconds, or no number. */
function eventOf(body: string, queued: number): Omit<QueuedCallback, 'receiptHandle'> {
  try {
    const { detail, resources, id, time } = JSON.parse(body) as Record<string, unknown>;
    const named = Array.isArray(resources) ? resources.filter((name) => typeof name === 'string') : [];
    // An older event may be delivered late.
    const moments = [queued, Date.parse(String(time)) + EVENT_TIME_ERRS_MS].filter(
      (moment) => !Number.isNaN(moment),
    );
    return {
      callback: detail,
      deployments: named,
      ...(typeof id === 'string' && { eventId: id.slice(0, LONGEST_ID) }),
      ...(moments.length > 0 && { sentBy: Math.min(...moments) }),
    };
  } catch {
    return { callback: undefined, deployments: [] };
  }
}
