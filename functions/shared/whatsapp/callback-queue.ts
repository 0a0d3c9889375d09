import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { namingErrors } from '../run/naming-errors.ts';

/** SQS's limit on the messages of one request. */
const BATCH_SIZE = 10;

/** Of messages in flight in a standard queue. With long polling nothing says that it was reached: receives come back empty. */
const IN_FLIGHT_LIMIT = 120_000;

/** Long polling, so that every server of SQS is asked; a short poll may miss what is there. */
const LONG_POLL_SECONDS = 1;

const sqs = namingErrors(new SQSClient({}));

/** A callback of the client, as the callbacks bus put it into a queue. */
export interface QueuedCallback {
  receiptHandle: string;
  /** The client's payload, or `undefined` if the message is not an event of the bus. */
  callback: unknown;
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
    callback: detailOf(body),
  }));
}

/** Deletes what was received. A callback that could not be deleted comes again, which every reader here bears. */
export async function deleteCallbacks(queueUrl: string, receiptHandles: string[]): Promise<void> {
  for (const batch of batches(receiptHandles))
    await sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: batch.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle })),
      }),
    );
}

/** Hides what was received for another while, counted from now; 0 gives it back at once. */
export async function hideCallbacks(
  queueUrl: string,
  callbacks: { receiptHandle: string; seconds: number }[],
): Promise<void> {
  for (const batch of batches(callbacks))
    await sqs.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl: queueUrl,
        Entries: batch.map(({ receiptHandle, seconds }, index) => ({
          Id: String(index),
          ReceiptHandle: receiptHandle,
          VisibilityTimeout: seconds,
        })),
      }),
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

function* batches<T>(items: T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += BATCH_SIZE) yield items.slice(start, start + BATCH_SIZE);
}

function detailOf(body: string): unknown {
  try {
    return (JSON.parse(body) as { detail?: unknown }).detail;
  } catch {
    return undefined;
  }
}
