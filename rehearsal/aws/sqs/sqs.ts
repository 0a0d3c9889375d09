import { createHash, randomUUID } from 'node:crypto';
import type {
  ChangeMessageVisibilityBatchCommandInput,
  ChangeMessageVisibilityCommandInput,
  DeleteMessageBatchCommandInput,
  DeleteMessageCommandInput,
  GetQueueAttributesCommandInput,
  GetQueueUrlCommandInput,
  ListQueuesCommandInput,
  MessageAttributeValue,
  PurgeQueueCommandInput,
  ReceiveMessageCommandInput,
  ReceiveMessageCommandOutput,
  SendMessageBatchCommandInput,
  SendMessageCommandInput,
} from '@aws-sdk/client-sqs';
import { queueArn } from '../access/access.ts';
import { type Principal, principalName } from '../access/policy.ts';
import { AwsError } from '../aws-error.ts';
import { seededRandom } from '../seeded-random.ts';
import type { Aws, Call, Operations } from '../server.ts';
import type { Resource } from '../template/template.ts';

/** SQS's limit of messages in flight in a standard queue. */
const IN_FLIGHT_LIMIT = 120_000;
/** The longest that a message may be hidden, counted from its receive: 12 hours. */
const LONGEST_VISIBILITY_SECONDS = 43_200;
const SECOND = 1000;

interface Message {
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

interface Queue {
  resource: Resource;
  arn: string;
  name: string;
  messages: Map<string, Message>;
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

/** Amazon SQS: standard queues. */
export class Sqs {
  /** Messages in flight that a queue takes. Settable, so that a fault can reach it. */
  inFlightLimit = IN_FLIGHT_LIMIT;
  /** Messages in flight that others hold, by queue name, so that a fault can reach the limit without so many. */
  readonly heldByOthers = new Map<string, number>();
  readonly operations: Operations;
  readonly #aws: Aws;
  readonly #queues = new Map<string, Queue>();

  constructor(aws: Aws) {
    this.#aws = aws;
    for (const resource of aws.deployed.ofType('AWS::SQS::Queue'))
      this.#queues.set(resource.arn, queueOf(resource));
    this.operations = {
      ListQueues: ({ QueueNamePrefix = '' }: ListQueuesCommandInput, { account, region }: Call) => ({
        QueueUrls: [...this.#queues.values()]
          .filter(
            ({ resource, name }) =>
              resource.account === account && resource.region === region && name.startsWith(QueueNamePrefix),
          )
          .map((queue) => this.#url(queue)),
      }),
      GetQueueUrl: ({ QueueName, QueueOwnerAWSAccountId: owner }: GetQueueUrlCommandInput, call: Call) => ({
        QueueUrl: this.#url(this.#queue(`arn:aws:sqs:${call.region}:${owner ?? call.account}:${QueueName}`)),
      }),
      GetQueueAttributes: (input: GetQueueAttributesCommandInput, call: Call) => {
        const all = this.#attributes(this.#at(input.QueueUrl, call));
        const names = input.AttributeNames ?? [];
        return {
          Attributes: Object.fromEntries(
            Object.entries(all).filter(
              ([name]) => names.includes('All') || names.some((wanted) => wanted === name),
            ),
          ),
        };
      },
      SendMessage: (input: SendMessageCommandInput, call: Call) => {
        const queue = this.#at(input.QueueUrl, call);
        this.#encryptFor(queue, call);
        return this.#send(queue, input, call.caller.principal.arn);
      },
      SendMessageBatch: (input: SendMessageBatchCommandInput, call: Call) => {
        const queue = this.#at(input.QueueUrl, call);
        this.#encryptFor(queue, call);
        return batch(input.Entries, (entry) => this.#send(queue, entry, call.caller.principal.arn));
      },
      ReceiveMessage: (input: ReceiveMessageCommandInput, call: Call) => this.#receive(input, call),
      DeleteMessage: (input: DeleteMessageCommandInput, call: Call) =>
        this.#delete(this.#at(input.QueueUrl, call), input.ReceiptHandle),
      DeleteMessageBatch: (input: DeleteMessageBatchCommandInput, call: Call) => {
        const queue = this.#at(input.QueueUrl, call);
        return batch(input.Entries, (entry) => this.#delete(queue, entry.ReceiptHandle));
      },
      ChangeMessageVisibility: (input: ChangeMessageVisibilityCommandInput, call: Call) =>
        this.#hide(this.#at(input.QueueUrl, call), input.ReceiptHandle, input.VisibilityTimeout),
      ChangeMessageVisibilityBatch: (input: ChangeMessageVisibilityBatchCommandInput, call: Call) => {
        const queue = this.#at(input.QueueUrl, call);
        return batch(input.Entries, (entry) =>
          this.#hide(queue, entry.ReceiptHandle, entry.VisibilityTimeout),
        );
      },
      PurgeQueue: (input: PurgeQueueCommandInput, call: Call) => {
        this.#at(input.QueueUrl, call).messages.clear();
      },
    };
  }

  /** A message of a service or of a role it has assumed: undefined, or why the queue or its key does not take it. */
  deliver(
    principal: Principal,
    arn: string,
    body: string,
    attributes: Record<string, MessageAttributeValue>,
    conditions: Record<string, string | undefined>,
  ): string | undefined {
    const queue = this.#queues.get(arn);
    if (queue === undefined) return `there is no queue ${arn} in the templates`;
    // A service's request to KMS carries no source ARN (EventBridge's developer guide, encrypted queues).
    const via = principal.kind === 'service' ? undefined : `sqs.${queue.resource.region}.amazonaws.com`;
    const refused =
      this.#aws.access.check({ principal, action: 'sqs:SendMessage', resource: arn, conditions }) ??
      this.#aws.access.checkKey(
        queue.keyId,
        principal,
        ['kms:GenerateDataKey', 'kms:Decrypt'],
        { 'kms:ViaService': via },
        queue.resource,
      );
    if (refused !== undefined) return refused;
    this.#send(queue, { MessageBody: body, MessageAttributes: attributes }, principalName(principal));
    return undefined;
  }

  /** The bodies in a queue, however hidden they are: for a test or a table. */
  bodies(arnOrName: string): string[] {
    const queue = [...this.#queues.values()].find(({ arn, name }) => arn === arnOrName || name === arnOrName);
    if (queue === undefined) throw new Error(`there is no queue ${arnOrName} in the templates`);
    this.#expire(queue);
    return [...queue.messages.values()].map(({ body }) => body);
  }

  /** The queue's numbers that SQS sends to CloudWatch each minute. */
  publishGauges(): void {
    for (const queue of this.#queues.values()) this.#publish(queue);
  }

  async #receive(
    input: ReceiveMessageCommandInput,
    call: Call,
  ): Promise<Omit<ReceiveMessageCommandOutput, '$metadata'>> {
    const queue = this.#at(input.QueueUrl, call);
    const { clock } = this.#aws;
    const refused = this.#aws.access.checkKey(
      queue.keyId,
      call.caller.principal,
      ['kms:Decrypt'],
      { 'kms:ViaService': `sqs.${call.region}.amazonaws.com` },
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('KmsAccessDenied', refused);
    const maximum = input.MaxNumberOfMessages ?? 1;
    if (maximum < 1 || maximum > 10) {
      throw new AwsError(
        'InvalidParameterValue',
        `Value ${maximum} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.`,
      );
    }
    const wait = input.WaitTimeSeconds ?? queue.wait;
    const visibility = input.VisibilityTimeout ?? queue.visibility;
    for (let waited = 0; ; waited++) {
      const taken = this.#take(queue, maximum, visibility, wait > 0);
      if (taken.length > 0 || waited >= wait) {
        this.#publish(queue);
        if (taken.length === 0) return {};
        return { Messages: taken.map((message) => received(message, input)) };
      }
      if (clock.simulated) clock.advance(SECOND);
      else await clock.sleep(SECOND);
    }
  }

  #take(queue: Queue, maximum: number, visibility: number, longPoll: boolean): Message[] {
    const now = this.#aws.clock.now();
    this.#expire(queue);
    const room = this.inFlightLimit - this.#inFlight(queue);
    if (room <= 0) {
      // No error tells a long poll of it.
      if (longPoll) return [];
      throw new AwsError('OverLimit', 'The number of messages in flight exceeds the maximum.');
    }
    const candidates: Message[] = [];
    for (const message of queue.messages.values()) {
      if (message.visible > now) continue;
      if (queue.redrive !== undefined && message.receives >= queue.redrive.receives) {
        this.#redrive(queue, message);
        continue;
      }
      candidates.push(message);
      if (candidates.length >= maximum * 4) break;
    }
    // SQS promises neither order nor number: a poll asks some of its servers, and gets what they have.
    shuffle(candidates, queue.random);
    const share = 0.5 + queue.random();
    const count = Math.min(candidates.length, maximum, room, Math.max(1, Math.ceil(maximum * share)));
    const taken = candidates.slice(0, count);
    for (const message of taken) {
      message.receives++;
      message.firstReceived ??= now;
      message.lastReceived = now;
      message.visible = now + visibility * SECOND;
      message.receipt = randomUUID();
      this.#count(queue, 'NumberOfMessagesReceived');
    }
    return taken;
  }

  #redrive(queue: Queue, message: Message): void {
    queue.messages.delete(message.id);
    const target = this.#queues.get(queue.redrive?.target ?? '');
    if (target === undefined) {
      this.#aws.drop(queue.arn, queue.redrive?.target ?? '', 'the dead-letter queue is in no template');
      return;
    }
    // It keeps its age: the dead-letter queue's retention counts from the first sending.
    delete message.receipt;
    target.messages.set(message.id, { ...message, receives: 0, visible: this.#aws.clock.now() });
    target.used = true;
    this.#publish(target);
  }

  #send(
    queue: Queue,
    input: Pick<SendMessageCommandInput, 'MessageBody' | 'MessageAttributes' | 'DelaySeconds'>,
    sender: string,
  ) {
    const {
      MessageBody: body = '',
      MessageAttributes: attributes = {},
      DelaySeconds: delay = queue.delay,
    } = input;
    if (Buffer.byteLength(body) > queue.maximumSize) {
      throw new AwsError(
        'InvalidParameterValue',
        `One or more parameters are invalid. Reason: Message must be shorter than ${queue.maximumSize} bytes.`,
      );
    }
    const now = this.#aws.clock.now();
    const message: Message = {
      id: randomUUID(),
      body,
      attributes,
      sent: now,
      sender,
      lastReceived: 0,
      receives: 0,
      visible: now + delay * SECOND,
    };
    queue.messages.set(message.id, message);
    queue.used = true;
    this.#count(queue, 'NumberOfMessagesSent');
    this.#publish(queue);
    return {
      MessageId: message.id,
      MD5OfMessageBody: md5(body),
      ...(Object.keys(attributes).length > 0 && { MD5OfMessageAttributes: attributesMd5(attributes) }),
    };
  }

  #delete(queue: Queue, receipt: string | undefined): void {
    const message = this.#byReceipt(queue, receipt);
    if (message === undefined) return;
    queue.messages.delete(message.id);
    this.#count(queue, 'NumberOfMessagesDeleted');
    this.#publish(queue);
  }

  #hide(queue: Queue, receipt: string | undefined, seconds: number | undefined): void {
    const now = this.#aws.clock.now();
    const message = this.#byReceipt(queue, receipt);
    if (seconds === undefined || seconds < 0 || seconds > LONGEST_VISIBILITY_SECONDS) {
      throw new AwsError(
        'InvalidParameterValue',
        `Value ${seconds} for parameter VisibilityTimeout is invalid.`,
      );
    }
    if (message === undefined || message.visible <= now) {
      throw new AwsError('MessageNotInflight', 'The specified message is not in flight.');
    }
    if (now + seconds * SECOND > message.lastReceived + LONGEST_VISIBILITY_SECONDS * SECOND) {
      throw new AwsError(
        'InvalidParameterValue',
        `Value ${seconds} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [${LONGEST_VISIBILITY_SECONDS} seconds].`,
      );
    }
    message.visible = now + seconds * SECOND;
    this.#publish(queue);
  }

  /** A handle of an earlier receive still deletes the message, if it has not been received since. */
  #byReceipt(queue: Queue, receipt: string | undefined): Message | undefined {
    const [id = '', handle] = Buffer.from(receipt ?? '', 'base64')
      .toString()
      .split(' ');
    if (handle === undefined) {
      throw new AwsError('ReceiptHandleIsInvalid', 'The input receipt handle is invalid.');
    }
    const message = queue.messages.get(id);
    return message?.receipt === handle ? message : undefined;
  }

  #expire(queue: Queue): void {
    const oldest = this.#aws.clock.now() - queue.retention * SECOND;
    for (const message of queue.messages.values()) {
      if (message.sent < oldest) queue.messages.delete(message.id);
    }
  }

  #inFlight(queue: Queue): number {
    const now = this.#aws.clock.now();
    let count = this.heldByOthers.get(queue.name) ?? 0;
    for (const message of queue.messages.values()) {
      if (message.visible > now && message.receipt !== undefined) count++;
    }
    return count;
  }

  #numbers(queue: Queue): { visible: number; inFlight: number; delayed: number; age: number } {
    this.#expire(queue);
    const now = this.#aws.clock.now();
    const numbers = { visible: 0, inFlight: this.#inFlight(queue), delayed: 0, age: 0 };
    for (const message of queue.messages.values()) {
      if (message.visible <= now) numbers.visible++;
      else if (message.receipt === undefined) numbers.delayed++;
      numbers.age = Math.max(numbers.age, (now - message.sent) / SECOND);
    }
    return numbers;
  }

  #attributes(queue: Queue): Record<string, string> {
    const { visible, inFlight, delayed } = this.#numbers(queue);
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

  #publish(queue: Queue): void {
    if (!queue.used || !this.#aws.cloudWatch.wants('AWS/SQS', queue.resource, { QueueName: queue.name }))
      return;
    const { visible, inFlight, delayed, age } = this.#numbers(queue);
    const figures = {
      ApproximateNumberOfMessagesVisible: visible,
      ApproximateNumberOfMessagesNotVisible: inFlight,
      ApproximateNumberOfMessagesDelayed: delayed,
      ApproximateAgeOfOldestMessage: age,
    };
    for (const [name, value] of Object.entries(figures)) {
      this.#aws.cloudWatch.put(queue.resource, 'AWS/SQS', name, { QueueName: queue.name }, value);
    }
  }

  #count(queue: Queue, name: string): void {
    this.#aws.cloudWatch.put(queue.resource, 'AWS/SQS', name, { QueueName: queue.name }, 1);
  }

  #encryptFor(queue: Queue, call: Call): void {
    const refused = this.#aws.access.checkKey(
      queue.keyId,
      call.caller.principal,
      ['kms:GenerateDataKey', 'kms:Decrypt'],
      { 'kms:ViaService': `sqs.${call.region}.amazonaws.com` },
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('KmsAccessDenied', refused);
  }

  #url({ resource, name }: Queue): string {
    return `${this.#aws.endpoint}/${resource.account}/${name}`;
  }

  #at(url: string | undefined, { region }: Call): Queue {
    return this.#queue(queueArn(url ?? '', region));
  }

  #queue(arn: string): Queue {
    const queue = this.#queues.get(arn);
    if (queue === undefined) throw new AwsError('QueueDoesNotExist', 'The specified queue does not exist.');
    return queue;
  }
}

function queueOf(resource: Resource): Queue {
  const { properties, arn, name } = resource;
  const redrive = properties.child('RedrivePolicy')?.only('deadLetterTargetArn', 'maxReceiveCount');
  return {
    resource,
    arn,
    name,
    messages: new Map(),
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

function received(message: Message, input: ReceiveMessageCommandInput) {
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

function batch<Entry extends { Id: string | undefined }, Result>(
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

function shuffle<T>(items: T[], random: () => number): void {
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

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

/** SQS's digest of message attributes: names in order; each part with its length, big-endian, in four bytes. */
function attributesMd5(attributes: Record<string, MessageAttributeValue>): string {
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
