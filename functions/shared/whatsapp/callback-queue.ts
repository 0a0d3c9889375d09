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

/** Of messages in flight in a standard queue. With long polling nothing says that it was reached: receives come back empty. */
const IN_FLIGHT_LIMIT = 120_000;

/** Long polling, so that every server of SQS is asked; a short poll may miss what is there. */
const LONG_POLL_SECONDS = 1;

const sqs = namingErrors(new SQSClient({ requestHandler: REQUEST_LIMITS }));

/** A callback of the client, as the callbacks bus put it into a queue. */
export interface QueuedCallback {
  receiptHandle: string;
  /** The client's payload, or `undefined` if the message is not an event of the bus. */
  callback: unknown;
  /** The event's `resources`, by which a webhook may name the deployment that the callback is of. */
  deployments: string[];
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
    }),
  );
  return messages.map(({ Body: body = '', ReceiptHandle: receiptHandle = '' }) => ({
    receiptHandle,
    ...eventOf(body),
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

/** Hides what was received for another while, counted from now; 0 gives it back at once. */
export async function hideCallbacks(
  queueUrl: string,
  callbacks: { receiptHandle: string; seconds: number }[],
): Promise<void> {
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

function eventOf(body: string): Pick<QueuedCallback, 'callback' | 'deployments'> {
  try {
    const { detail, resources } = JSON.parse(body) as { detail?: unknown; resources?: unknown };
    const named = Array.isArray(resources) ? resources.filter((name) => typeof name === 'string') : [];
    return { callback: detail, deployments: named };
  } catch {
    return { callback: undefined, deployments: [] };
  }
}
