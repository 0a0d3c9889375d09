// In one file though long: the operations of SQS, each with what it asks.
import { randomUUID } from 'node:crypto';
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
import * as client from '@aws-sdk/client-sqs';
import { AwsError } from '../aws-error.ts';
import {
  anywhere,
  type Call,
  type Cloud,
  type Operations,
  operation,
  type Queues,
  required,
  type Service,
} from '../cloud.ts';
import { type Principal, principalName } from '../policy/policy.ts';
import { Counts } from './counts.ts';
import {
  attributesMd5,
  attributesOf,
  batch,
  byReceipt,
  expire,
  forget,
  hide,
  inFlight,
  keep,
  keyConditions,
  type Message,
  md5,
  numbersOf,
  onQueue,
  putInFlight,
  type Queue,
  queueArn,
  queueOf,
  received,
  shuffle,
  wake,
} from './queue.ts';

/** SQS's limit of messages in flight in a standard queue. */
const IN_FLIGHT_LIMIT = 120_000;
/** The longest that a message may be hidden, counted from its receive: 12 hours. */
const LONGEST_VISIBILITY_SECONDS = 43_200;
const SECOND = 1000;

/** Amazon SQS: standard queues. */
export class Sqs implements Service, Queues {
  readonly signingName = 'sqs';
  readonly client = client;
  // Goes back to the query protocol, which the AWS CLI spoke before version 2.13.
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'http://queue.amazonaws.com/doc/2012-11-05/';
  /** Messages in flight that a queue takes. Settable, so that a fault can reach it. */
  inFlightLimit = IN_FLIGHT_LIMIT;
  /** Messages in flight that others hold, by queue name, so that a fault can reach the limit without so many. */
  readonly heldByOthers = new Map<string, number>();
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #counts: Counts;
  readonly #queues = new Map<string, Queue>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.#counts = new Counts(aws);
    for (const resource of aws.deployed.ofType('AWS::SQS::Queue'))
      this.#queues.set(resource.arn, queueOf(resource));
    for (const { properties, region } of aws.deployed.ofType('AWS::SQS::QueuePolicy')) {
      for (const url of properties.texts('Queues')) {
        aws.access.attach(queueArn(url, region), properties.policy('PolicyDocument'));
      }
    }
    this.operations = {
      ListQueues: operation(
        anywhere('sqs:ListQueues'),
        ({ QueueNamePrefix = '' }: ListQueuesCommandInput, { account, region }) => ({
          QueueUrls: [...this.#queues.values()]
            .filter(
              ({ resource, name }) =>
                resource.account === account &&
                resource.region === region &&
                name.startsWith(QueueNamePrefix),
            )
            .map((queue) => this.#url(queue)),
        }),
      ),
      GetQueueUrl: operation(
        ({ QueueName, QueueOwnerAWSAccountId: owner }: GetQueueUrlCommandInput, { account, region }) => [
          {
            action: 'sqs:GetQueueUrl',
            resource: `arn:aws:sqs:${region}:${owner ?? account}:${required(QueueName)}`,
          },
        ],
        ({ QueueName, QueueOwnerAWSAccountId: owner }, { account, region }) => ({
          QueueUrl: this.#url(this.#queue(`arn:aws:sqs:${region}:${owner ?? account}:${QueueName}`)),
        }),
      ),
      GetQueueAttributes: operation(
        onQueue('GetQueueAttributes'),
        (input: GetQueueAttributesCommandInput, call) => {
          const queue = this.#at(input.QueueUrl, call);
          const all = attributesOf(queue, numbersOf(queue, this.#aws.clock.now(), this.#held(queue)));
          const names = input.AttributeNames ?? [];
          return {
            Attributes: Object.fromEntries(
              Object.entries(all).filter(
                ([name]) => names.includes('All') || names.some((wanted) => wanted === name),
              ),
            ),
          };
        },
      ),
      SendMessage: operation(onQueue('SendMessage'), (input: SendMessageCommandInput, call) => {
        const queue = this.#at(input.QueueUrl, call);
        this.#encryptFor(queue, call);
        return this.#send(queue, input, call.caller.principal.arn);
      }),
      SendMessageBatch: operation(onQueue('SendMessage'), (input: SendMessageBatchCommandInput, call) => {
        const queue = this.#at(input.QueueUrl, call);
        this.#encryptFor(queue, call);
        return batch(input.Entries, (entry) => this.#send(queue, entry, call.caller.principal.arn));
      }),
      ReceiveMessage: operation(onQueue('ReceiveMessage'), (input: ReceiveMessageCommandInput, call) =>
        this.#receive(input, call),
      ),
      DeleteMessage: operation(onQueue('DeleteMessage'), (input: DeleteMessageCommandInput, call) =>
        this.#delete(this.#at(input.QueueUrl, call), input.ReceiptHandle),
      ),
      DeleteMessageBatch: operation(
        onQueue('DeleteMessage'),
        (input: DeleteMessageBatchCommandInput, call) => {
          const queue = this.#at(input.QueueUrl, call);
          return batch(input.Entries, (entry) => this.#delete(queue, entry.ReceiptHandle));
        },
      ),
      ChangeMessageVisibility: operation(
        onQueue('ChangeMessageVisibility'),
        (input: ChangeMessageVisibilityCommandInput, call) =>
          this.#hide(this.#at(input.QueueUrl, call), input.ReceiptHandle, input.VisibilityTimeout),
      ),
      ChangeMessageVisibilityBatch: operation(
        onQueue('ChangeMessageVisibility'),
        (input: ChangeMessageVisibilityBatchCommandInput, call) => {
          const queue = this.#at(input.QueueUrl, call);
          return batch(input.Entries, (entry) =>
            this.#hide(queue, entry.ReceiptHandle, entry.VisibilityTimeout),
          );
        },
      ),
      PurgeQueue: operation(onQueue('PurgeQueue'), (input: PurgeQueueCommandInput, call) => {
        const queue = this.#at(input.QueueUrl, call);
        for (const message of queue.messages.values()) forget(queue, message);
      }),
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
    const refused =
      this.#aws.access.check({ principal, action: 'sqs:SendMessage', resource: arn, conditions }) ??
      this.#aws.access.checkKey(
        queue.keyId,
        principal,
        ['kms:GenerateDataKey', 'kms:Decrypt'],
        keyConditions(queue, principal),
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
    expire(queue, this.#aws.clock.now());
    return [...queue.messages.values()].map(({ body }) => body);
  }

  /** The queue's numbers that SQS sends to CloudWatch each minute. */
  publishGauges(): void {
    for (const queue of this.#queues.values()) this.#publish(queue);
    this.#counts.publish();
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
      keyConditions(queue, call.caller.principal),
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
    expire(queue, this.#aws.clock.now());
    const room = this.inFlightLimit - this.#held(queue) - inFlight(queue, now);
    if (room <= 0) {
      // No error tells a long poll of it.
      if (longPoll) return [];
      throw new AwsError('OverLimit', 'The number of messages in flight exceeds the maximum.');
    }
    const candidates: Message[] = [];
    wake(queue, now);
    for (const message of queue.waiting) {
      if (queue.redrive !== undefined && message.receives >= queue.redrive.receives) {
        this.#redrive(queue, message);
        continue;
      }
      candidates.push(message);
      if (candidates.length >= maximum * 4) break;
    }
    // SQS promises neither order nor number: a poll asks some of its servers, and gets what they have.
    shuffle(candidates, queue.random);
    const some = Math.max(1, Math.ceil(maximum * (0.5 + queue.random())));
    const taken = candidates.slice(0, Math.min(maximum, room, some));
    for (const message of taken) {
      putInFlight(queue, message, now, visibility);
      this.#counts.add(queue, 'NumberOfMessagesReceived');
    }
    return taken;
  }

  #redrive(queue: Queue, message: Message): void {
    forget(queue, message);
    const target = this.#queues.get(queue.redrive?.target ?? '');
    if (target === undefined) {
      this.#aws.drop(queue.arn, queue.redrive?.target ?? '', 'the dead-letter queue is in no template');
      return;
    }
    // It keeps its age: the dead-letter queue's retention counts from the first sending.
    delete message.receipt;
    keep(target, { ...message, receives: 0, visible: this.#aws.clock.now() });
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
    keep(queue, message);
    this.#counts.add(queue, 'NumberOfMessagesSent');
    this.#publish(queue);
    return {
      MessageId: message.id,
      MD5OfMessageBody: md5(body),
      ...(Object.keys(attributes).length > 0 && { MD5OfMessageAttributes: attributesMd5(attributes) }),
    };
  }

  #delete(queue: Queue, receipt: string | undefined): void {
    const message = byReceipt(queue, receipt);
    if (message === undefined) return;
    forget(queue, message);
    this.#counts.add(queue, 'NumberOfMessagesDeleted');
    this.#publish(queue);
  }

  #hide(queue: Queue, receipt: string | undefined, seconds: number | undefined): void {
    const now = this.#aws.clock.now();
    const message = byReceipt(queue, receipt);
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
    hide(queue, message);
    this.#publish(queue);
  }

  #publish(queue: Queue): void {
    if (!queue.used || !this.#aws.cloudWatch.wants('AWS/SQS', queue.resource, { QueueName: queue.name }))
      return;
    const { visible, inFlight, delayed, age } = numbersOf(queue, this.#aws.clock.now(), this.#held(queue));
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

  #encryptFor(queue: Queue, call: Call): void {
    const refused = this.#aws.access.checkKey(
      queue.keyId,
      call.caller.principal,
      ['kms:GenerateDataKey', 'kms:Decrypt'],
      keyConditions(queue, call.caller.principal),
      call,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('KmsAccessDenied', refused);
  }

  #held({ name }: Queue): number {
    return this.heldByOthers.get(name) ?? 0;
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
