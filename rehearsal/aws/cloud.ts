import type { MessageAttributeValue } from '@aws-sdk/client-sqs';
import type { AccessControl, Caller } from './access/access-control.ts';
import { AwsError } from './aws-error.ts';
import type { Clock } from './clock.ts';
import type { Place } from './place.ts';
import type { Principal } from './policy/policy.ts';
import type { Deployed } from './template/resource.ts';
import type { Request } from './wire/shape.ts';

/** What an operation knows of its request besides the input. */
export interface Call extends Place {
  requestId: string;
  caller: Caller;
}

/** An action on a resource that the caller's policies have to allow, and the condition keys that AWS knows of it. */
export interface Ask {
  /** As in the Service Authorization Reference, such as `sqs:SendMessage`. */
  action: string;
  /** `*`, where the action cannot be limited to resources. */
  resource: string;
  conditions?: Record<string, string | undefined>;
}

/** An operation of a service. Its input and output are those of the SDK's command. */
export interface Operation {
  asks(input: never, call: Call): Ask[];
  does(input: never, call: Call): unknown;
}

/** By the SDK's names. */
export type Operations = Record<string, Operation>;

/** An operation: what it asks of the caller's policies, and what it does once they allow it. */
export function operation<Input>(
  asks: (input: Input, call: Call) => Ask[],
  does: (input: Input, call: Call) => unknown,
): Operation {
  return { asks, does };
}

/** Asks for an action that knows no resources. */
export function anywhere(action: string): () => Ask[] {
  return () => [{ action, resource: '*' }];
}

/** A member that the SDK's schema does not require, though the service does. */
export function required(value: string | undefined): string {
  if (value === undefined) throw new AwsError('ValidationException', 'a required member is missing');
  return value;
}

/** A service that answers requests. */
export interface Service {
  /** By which requests are signed. */
  readonly signingName: string;
  /** The SDK client's module: its schemas are what requests are read by and answers written by. */
  readonly client: object;
  /** The code of a refusal. @default 'AccessDeniedException' */
  readonly accessDenied?: string;
  /** Its own codes, in place of those that most services have for what is wrong with a signature. */
  readonly codes?: Record<string, string>;
  /** A request whose path does not say all, as the SDK's schemas have it, with the members that were taken from it. */
  addressed?(request: Request): { request: Request; members: Record<string, string> };
  /** Of the query protocol's answers. */
  readonly namespace?: string;
  readonly operations: Operations;
}

/** A request that an interceptor looks at. */
export interface InterceptedCall {
  service: string;
  operation: string;
  input: Record<string, unknown>;
  caller: Caller;
}

/** A function's invocation that an interceptor looks at. */
export interface InterceptedInvoke {
  functionName: string;
  functionArn: string;
  /** As JSON; of a durable execution, the input of the execution. */
  payload: string;
  /** 1 for the first. */
  attempt: number;
}

/** Undefined: goes on as usual. An Error: fails with it. `drop`: the request or invocation is lost. */
export type Interception = undefined | Error | 'drop';

/** How an invocation ended. */
export type InvocationOutcome =
  | { outcome: 'returned'; payload: string }
  /** `crash`: the process died, ran out of time or did not start; else its handler threw. */
  | { outcome: 'failed'; crash: boolean; error: InvocationError };

export interface InvocationError {
  errorType: string;
  errorMessage: string;
  stackTrace?: string[];
}

/** What each service finds around it. The others stand in it only as what they do for their neighbours. */
export interface Cloud {
  readonly endpoint: string;
  readonly clock: Clock;
  readonly deployed: Deployed;
  readonly access: AccessControl;
  /** `host:port` → `127.0.0.1:port`, for functions in a VPC that start from now on. */
  readonly hosts: Record<string, string>;
  readonly invokeInterceptors: ReadonlySet<(invoke: InterceptedInvoke) => Interception>;
  /** Notes a message that AWS drops without a word. */
  drop(from: string, to: string, reason: string): void;
  readonly cloudWatch: Metrics;
  readonly logGroups: LogGroups;
  readonly sqs: Queues;
  readonly sns: Topics;
  readonly events: DefaultBus;
  readonly lambda: Functions;
}

/** Amazon CloudWatch, as services and functions tell it their numbers. */
export interface Metrics {
  put(
    place: Place,
    namespace: string,
    name: string,
    dimensions: Record<string, string>,
    value: number,
    time?: number,
  ): void;
  wants(namespace: string, place: Place, dimensions: Record<string, string>): boolean;
  readEmbedded(line: string, place: Place): void;
}

/** CloudWatch Logs, as Lambda writes to it. */
export interface LogGroups {
  write(
    group: Place & { name: string },
    stream: string,
    text: string,
    role: Principal,
    functionName: string,
    /** It is Lambda's own line about an invocation. */
    isPlatform?: boolean,
  ): void;
}

/** Amazon SQS, as services send to it. */
export interface Queues {
  /** Undefined, or why the queue or its key does not take the message. */
  deliver(
    principal: Principal,
    arn: string,
    body: string,
    attributes: Record<string, MessageAttributeValue>,
    conditions: Record<string, string | undefined>,
  ): string | undefined;
  publishGauges(): void;
}

/** Amazon SNS, as services publish to it. */
export interface Topics {
  /** Returns whether the topic took it. */
  publish(service: string, sourceArn: string, topicArn: string, subject: string, message: string): boolean;
}

/** Amazon EventBridge, as services tell it what happened. */
export interface DefaultBus {
  emit(
    place: Place,
    source: string,
    detailType: string,
    detail: Record<string, unknown>,
    resources?: string[],
  ): void;
}

/** AWS Lambda, as services invoke functions. */
export interface Functions {
  /** Undefined, or why the invocation is not taken. */
  enqueue(arn: string, payload: string): string | undefined;
  call(arn: string, payload: string): Promise<InvocationOutcome>;
}
