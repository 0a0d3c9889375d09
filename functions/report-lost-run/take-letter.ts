import { setTimeout } from 'node:timers/promises';
import { DeleteMessageCommand, type Message, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { isObject } from '../shared/run/is-object.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { logger } from '../shared/run/publish-report.ts';
import { LETTER_TAKEN_MINUTES } from '../shared/run/report.ts';
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
 * The alarm looks at three times five minutes, whose windows slide: it rings once a letter has been seen in each, which takes ten
 * minutes at least. Less one, for clocks and metrics have minutes.
 */
const FORGOTTEN_AFTER_MS = (LETTER_TAKEN_MINUTES - 6) * 60_000;

/** A letter of a job's dead letters. */
export interface Letter {
  queueUrl: string;
  /** SQS's own. */
  messageId: string;
  receipt: string | undefined;
  sentAt: Date;
  /** The event with which its run was to begin; nothing, if it is something else. */
  event: Record<string, unknown>;
  /** Its message attributes, as far as they were asked for. */
  attributes: Record<string, string>;
}

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
      const messages = await receive(queueUrl, HIDDEN_SECONDS);
      const own = messages.filter(({ Body = '' }) => wordsOf(Body).runId === runId);
      for (const { ReceiptHandle } of own)
        await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }));
      if (own.length > 0) return;
    }
    logger.warn('The letter of the run did not come.', { runId, queueUrl });
  } catch (error) {
    logger.warn('The letter of the run could not be taken.', error as Error);
  }
}

/**
 * What lies in a job's dead letters, and has lain there for so long that nobody takes it any more. What is younger is hidden
 * for as long: the alarm is then off, and rings anew for it.
 * @param now epoch milliseconds.
 */
export async function forgottenLetters(queueUrl: string, now: number): Promise<Letter[]> {
  const letters = await everyLetter(queueUrl, LETTER_TAKEN_MINUTES * 60);
  return letters.filter(({ sentAt }) => now - sentAt.getTime() >= FORGOTTEN_AFTER_MS);
}

/**
 * What lies in a queue of dead letters.
 * @param hiddenSeconds so long it is hidden from others.
 * @param attributes of the messages, which are wanted. @default none
 */
export async function everyLetter(
  queueUrl: string,
  hiddenSeconds: number,
  attributes: string[] = [],
): Promise<Letter[]> {
  const letters: Letter[] = [];
  for (let look = 0; look < LOOKS; look++) {
    const messages = await receive(queueUrl, hiddenSeconds, attributes);
    if (messages.length === 0) break;
    letters.push(
      ...messages.map(({ MessageId = '', ReceiptHandle, Body = '', Attributes, MessageAttributes = {} }) => ({
        queueUrl,
        messageId: MessageId,
        receipt: ReceiptHandle,
        sentAt: new Date(Number(Attributes?.SentTimestamp ?? Date.now())),
        event: wordsOf(Body),
        attributes: Object.fromEntries(
          Object.entries(MessageAttributes).map(([name, { StringValue = '' }]) => [name, StringValue]),
        ),
      })),
    );
  }
  return letters;
}

/** Of a letter that has been told. One that stays is told again. */
export async function deleteLetter({ queueUrl, receipt }: Letter): Promise<void> {
  try {
    await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: receipt }));
  } catch (error) {
    logger.warn('A letter that was told could not be deleted.', error as Error);
  }
}

async function receive(
  queueUrl: string,
  hiddenSeconds: number,
  attributes: string[] = [],
): Promise<Message[]> {
  const { Messages: messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: AT_ONCE,
      WaitTimeSeconds: LOOK_SECONDS,
      VisibilityTimeout: hiddenSeconds,
      MessageSystemAttributeNames: ['SentTimestamp'],
      ...(attributes.length > 0 && { MessageAttributeNames: attributes }),
    }),
  );
  return messages;
}

/** Nothing, if it is not of a run. */
function wordsOf(body: string): Record<string, unknown> {
  try {
    const words: unknown = JSON.parse(body);
    return isObject(words) ? words : {};
  } catch {
    return {};
  }
}
