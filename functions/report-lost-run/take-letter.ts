import { setTimeout } from 'node:timers/promises';
import { DeleteMessageCommand, type Message, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { logger } from '../shared/run/publish-report.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';

/** The queue's URL is put together from its name: whom to ask, the SDK knows. */
const sqs = namingErrors(new SQSClient({ requestHandler: REQUEST_LIMITS, useQueueUrlAsEndpoint: false }));

/** SQS's limit on the messages of one request. */
const AT_ONCE = 10;
/** So often the queue is asked: Lambda sends the letter about when it tells of the run's end. */
const LOOKS = 8;
/** Each a long poll, so that every server of SQS is asked: less than half of the function's minute in all. */
const LOOK_SECONDS = 3;
/** So long what was received is hidden, so that the next look brings others. The queue's alarm looks at minutes. */
const HIDDEN_SECONDS = 10;

/** Of the function's minute, in milliseconds: the run is reported by then, and a function that was cut would report it again. */
const PATIENCE_MS = 25_000;

/**
 * Takes the letter of a run from a job's dead letters: the event with which Lambda had begun it. Other letters stay. Where it
 * does not come in time, or the queue does not answer, it stays too, and the queue's alarm tells of it once it has lain for a while.
 */
export async function takeLetter(queueUrl: string, runId: string, patience = PATIENCE_MS): Promise<void> {
  await Promise.race([take(queueUrl, runId), setTimeout(patience, undefined, { ref: false })]);
}

async function take(queueUrl: string, runId: string): Promise<void> {
  try {
    for (let look = 0; look < LOOKS; look++) {
      const { Messages: messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: queueUrl,
          MaxNumberOfMessages: AT_ONCE,
          WaitTimeSeconds: LOOK_SECONDS,
          VisibilityTimeout: HIDDEN_SECONDS,
        }),
      );
      const own = messages.filter((message) => runIdOf(message) === runId);
      for (const { ReceiptHandle } of own)
        await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }));
      if (own.length > 0) return;
    }
    logger.warn('The letter of the run did not come.', { runId, queueUrl });
  } catch (error) {
    logger.warn('The letter of the run could not be taken.', error as Error);
  }
}

function runIdOf({ Body: body = '' }: Message): unknown {
  try {
    return (JSON.parse(body) as { runId?: unknown } | null)?.runId;
  } catch {
    return undefined;
  }
}
