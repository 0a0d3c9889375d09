import { createHash, randomUUID } from 'node:crypto';
import type { MessageAttributeValue, ReceiveMessageCommandInput } from '@aws-sdk/client-sqs';
import { AwsError } from '../aws-error.ts';
import { type Ask, type Call, required } from '../cloud.ts';
import type { Principal } from '../policy/policy.ts';
import { seededRandom } from '../seeded-random.ts';
import type { Resource } from '../template/resource.ts';

const SECOND = 1000;

/** A message of a queue. */
export interface Message {
  id: string;
  body: string;
  attributes: Record<string, MessageAttributeValue>;
  sent: number;
  sender: string;
  firstReceived?: number;
  lastReceived: number;
  receives: number;
  /** When it can next be received. Epoch milliseconds. */
  visible: number;
  /** Of the latest receive; undefined while it is not in flight. */
  receipt?: string;
}

/** A queue of the templates, and what is in it. */
export interface Queue {
  resource: Resource;
  arn: string;
  name: string;
  messages: Map<string, Message>;
  /** Those that were received, hidden or not any more. */
  received: Set<Message>;
  /** Those that can be received, in order, as of {@link wake}. */
  waiting: Set<Message>;
  /** The others. */
  hidden: Set<Message>;
  /** Before then none of the hidden ones can be received. Epoch milliseconds. */
  wakesFrom: number;
  /** Before then nothing is older than the retention. Epoch milliseconds. */
  expiresFrom: number;
  random: () => number;
  delay: number;
  visibility: number;
  retention: number;
  wait: number;
  maximumSize: number;
  keyId: string | undefined;
  redrive: { target: string; receives: number } | undefined;
  /** SQS sends a queue's numbers to CloudWatch only once the queue is in use. */
  used: boolean;
}

/** Of a template. */
export function queueOf(resource: Resource): Queue {
  const { properties, arn, name } = resource;
  const redrive = properties.child('RedrivePolicy')?.only('deadLetterTargetArn', 'maxReceiveCount');
  return {
    resource,
    arn,
    name,
    messages: new Map(),
    received: new Set(),
    waiting: new Set(),
    hidden: new Set(),
    wakesFrom: Number.POSITIVE_INFINITY,
    expiresFrom: Number.POSITIVE_INFINITY,
    random: seededRandom(arn),
    delay: properties.number('DelaySeconds', 0),
    visibility: properties.number('VisibilityTimeout', 30),
    // Four days.
    retention: properties.number('MessageRetentionPeriod', 345_600),
    wait: properties.number('ReceiveMessageWaitTimeSeconds', 0),
    // 1 MiB, since 2025.
    maximumSize: properties.number('MaximumMessageSize', 1_048_576),
    keyId: properties.text('KmsMasterKeyId', undefined),
    redrive: redrive && {
      target: redrive.text('deadLetterTargetArn'),
      receives: redrive.number('maxReceiveCount'),
    },
    used: false,
  };
}

/** As ReceiveMessage gives it. */
export function received(message: Message, input: ReceiveMessageCommandInput) {
  const system: Record<string, string> = {
    SenderId: message.sender,
    SentTimestamp: String(Math.floor(message.sent)),
    ApproximateReceiveCount: String(message.receives),
    ApproximateFirstReceiveTimestamp: String(Math.floor(message.firstReceived ?? 0)),
  };
  const systemNames: string[] = [
    ...(input.MessageSystemAttributeNames ?? []),
    ...(input.AttributeNames ?? []),
  ];
  const wanted = (names: string[], name: string) =>
    names.some(
      (pattern) =>
        pattern === 'All' ||
        pattern === '.*' ||
        pattern === name ||
        (pattern.endsWith('.*') && name.startsWith(pattern.slice(0, -1))),
    );
  const attributes = Object.fromEntries(
    Object.entries(message.attributes).filter(([name]) => wanted(input.MessageAttributeNames ?? [], name)),
  );
  return {
    MessageId: message.id,
    ReceiptHandle: Buffer.from(`${message.id} ${message.receipt}`).toString('base64'),
    Body: message.body,
    MD5OfBody: md5(message.body),
    Attributes: Object.fromEntries(Object.entries(system).filter(([name]) => wanted(systemNames, name))),
    ...(Object.keys(attributes).length > 0 && {
      MessageAttributes: attributes,
      MD5OfMessageAttributes: attributesMd5(attributes),
    }),
  };
}

/** Answers a batch, entry by entry. */
export function batch<Entry extends { Id: string | undefined }, Result>(
  entries: Entry[] | undefined,
  work: (entry: Entry) => Result,
) {
  if (entries === undefined || entries.length === 0) {
    throw new AwsError('EmptyBatchRequest', 'There should be at least one entry in the request.');
  }
  if (entries.length > 10) {
    throw new AwsError('TooManyEntriesInBatchRequest', 'Maximum number of entries per request are 10.');
  }
  if (new Set(entries.map(({ Id }) => Id)).size < entries.length) {
    throw new AwsError(
      'BatchEntryIdsNotDistinct',
      'Two or more batch entries in the request have the same Id.',
    );
  }
  const successful: object[] = [];
  const failed: object[] = [];
  for (const entry of entries) {
    try {
      successful.push({ Id: entry.Id, ...work(entry) });
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      failed.push({ Id: entry.Id, Code: error.code, Message: error.message, SenderFault: true });
    }
  }
  return { Successful: successful, Failed: failed };
}

export function shuffle<T>(items: T[], random: () => number): void {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    const item = items[index];
    const swapped = items[other];
    if (item !== undefined && swapped !== undefined) {
      items[index] = swapped;
      items[other] = item;
    }
  }
}

export function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

/** SQS's digest of message attributes: names in order; each part with its length, big-endian, in four bytes. */
export function attributesMd5(attributes: Record<string, MessageAttributeValue>): string {
  const digest = createHash('md5');
  const part = (bytes: Uint8Array) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    digest.update(length).update(bytes);
  };
  for (const [name, value] of Object.entries(attributes).sort(([left], [right]) => (left < right ? -1 : 1))) {
    part(Buffer.from(name));
    part(Buffer.from(value.DataType ?? ''));
    const binary = value.DataType?.startsWith('Binary') === true;
    digest.update(Uint8Array.of(binary ? 2 : 1));
    part(binary ? (value.BinaryValue ?? new Uint8Array()) : Buffer.from(value.StringValue ?? ''));
  }
  return digest.digest('hex');
}

/** The ARN of the queue behind a URL; any host is taken. */
export function queueArn(url: string, region: string): string {
  const [account = '', name = ''] = url.replace(/^https?:\/\/[^/]+\//, '').split('/');
  return `arn:aws:sqs:${region}:${account}:${name}`;
}

/** A handle of an earlier receive still deletes the message, if it has not been received since. */
export function byReceipt(queue: Queue, receipt: string | undefined): Message | undefined {
  const [id = '', handle] = Buffer.from(receipt ?? '', 'base64')
    .toString()
    .split(' ');
  if (handle === undefined) {
    throw new AwsError('ReceiptHandleIsInvalid', 'The input receipt handle is invalid.');
  }
  const message = queue.messages.get(id);
  return message?.receipt === handle ? message : undefined;
}

/** Forgets what is older than the retention. */
export function expire(queue: Queue, now: number): void {
  if (now <= queue.expiresFrom) return;
  queue.expiresFrom = Number.POSITIVE_INFINITY;
  for (const message of queue.messages.values()) {
    const expires = message.sent + queue.retention * SECOND;
    if (expires < now) forget(queue, message);
    else queue.expiresFrom = Math.min(queue.expiresFrom, expires);
  }
}

export function keep(queue: Queue, message: Message): void {
  queue.messages.set(message.id, message);
  hide(queue, message);
  queue.expiresFrom = Math.min(queue.expiresFrom, message.sent + queue.retention * SECOND);
  queue.used = true;
}

export function forget(queue: Queue, message: Message): void {
  queue.messages.delete(message.id);
  for (const set of [queue.received, queue.waiting, queue.hidden]) set.delete(message);
}

/** To be called whenever its time to be received is another. */
export function hide(queue: Queue, message: Message): void {
  queue.waiting.delete(message);
  queue.hidden.add(message);
  queue.wakesFrom = Math.min(queue.wakesFrom, message.visible);
}

/** It is given to whoever receives, and hidden for so many seconds. */
export function putInFlight(queue: Queue, message: Message, now: number, seconds: number): void {
  message.receives++;
  message.firstReceived ??= now;
  message.lastReceived = now;
  message.visible = now + seconds * SECOND;
  message.receipt = randomUUID();
  queue.received.add(message);
  hide(queue, message);
}

/** Brings back those whose time has come. */
export function wake(queue: Queue, now: number): void {
  if (now < queue.wakesFrom) return;
  queue.wakesFrom = Number.POSITIVE_INFINITY;
  for (const message of queue.hidden)
    if (message.visible <= now) {
      queue.hidden.delete(message);
      queue.waiting.add(message);
    } else queue.wakesFrom = Math.min(queue.wakesFrom, message.visible);
}

/** As GetQueueAttributes gives them. */
export function attributesOf(
  queue: Queue,
  { visible, inFlight, delayed }: { visible: number; inFlight: number; delayed: number },
): Record<string, string> {
  return {
    QueueArn: queue.arn,
    ApproximateNumberOfMessages: String(visible),
    ApproximateNumberOfMessagesNotVisible: String(inFlight),
    ApproximateNumberOfMessagesDelayed: String(delayed),
    VisibilityTimeout: String(queue.visibility),
    MessageRetentionPeriod: String(queue.retention),
    MaximumMessageSize: String(queue.maximumSize),
    DelaySeconds: String(queue.delay),
    ReceiveMessageWaitTimeSeconds: String(queue.wait),
    SqsManagedSseEnabled: String(queue.keyId === undefined),
    ...(queue.keyId !== undefined && { KmsMasterKeyId: queue.keyId }),
    ...(queue.redrive !== undefined && {
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: queue.redrive.target,
        maxReceiveCount: queue.redrive.receives,
      }),
    }),
  };
}

/** Messages that were received and are hidden. */
export function inFlight({ received }: Queue, now: number): number {
  let count = 0;
  for (const { visible } of received) if (visible > now) count++;
  return count;
}

/** A queue's numbers of messages, and the age of the oldest in seconds; `held`: messages in flight that others hold. */
export function numbersOf(queue: Queue, now: number, held: number) {
  expire(queue, now);
  const numbers = { visible: 0, inFlight: held + inFlight(queue, now), delayed: 0, age: 0 };
  for (const message of queue.messages.values()) {
    if (message.visible <= now) numbers.visible++;
    else if (message.receipt === undefined) numbers.delayed++;
    numbers.age = Math.max(numbers.age, (now - message.sent) / SECOND);
  }
  return numbers;
}

/** What an operation on one queue asks; a batch asks for what its entries do. */
export function onQueue(operation: string) {
  return ({ QueueUrl }: { QueueUrl: string | undefined }, { region }: Call): Ask[] => [
    { action: `sqs:${operation}`, resource: queueArn(required(QueueUrl), region) },
  ];
}

/**
 * Of a request to KMS: in a caller's name it is SQS's; a service's own carries neither that nor a source ARN (EventBridge's
 * developer guide, encrypted queues).
 */
export function keyConditions(
  { arn, resource }: Pick<Queue, 'arn' | 'resource'>,
  { kind }: Principal,
): Record<string, string | undefined> {
  return {
    'kms:ViaService': kind === 'service' ? undefined : `sqs.${resource.region}.amazonaws.com`,
    'kms:EncryptionContext:aws:sqs:arn': arn,
  };
}
