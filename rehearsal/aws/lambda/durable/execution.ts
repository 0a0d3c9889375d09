import type {
  CallbackOptions,
  CheckpointDurableExecutionResponse,
  ErrorObject,
  Operation,
} from '@aws-sdk/client-lambda';
import type { InvocationOutcome } from '../../cloud.ts';
import { isRecord } from '../../wire/values.ts';
import type { Target } from '../function.ts';
import type { History } from './history.ts';

export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'STOPPED';

/** A durable execution and all that is on record of it. */
export interface Execution {
  arn: string;
  name: string;
  target: Target;
  /** JSON. */
  input: string;
  status: ExecutionStatus;
  started: number;
  ended: number | undefined;
  result: string | undefined;
  error: ErrorObject | undefined;
  operations: Map<string, Operation>;
  /** So many operations, each retry and each poll counted. */
  counted: number;
  history: History;
  /** By operation: what was asked for, and when its time is up. */
  callbacks: Map<string, { options: CallbackOptions | undefined; due: number | undefined }>;
  /** Changed by time or callbacks since the function was last told. */
  changed: Set<string>;
  token: string;
  tokens: number;
  /** The latest checkpoint, for a client that repeats it because it saw no answer. */
  latest: { token: string; clientToken: string; response: CheckpointDurableExecutionResponse } | undefined;
  invocations: number;
  /** Invocations in a row that crashed. */
  crashes: number;
  running: boolean;
  scheduled: boolean;
  cancels: Set<() => void>;
  waiting: ((outcome: InvocationOutcome) => void)[];
}

type Answer =
  | { Status: 'SUCCEEDED'; Result: string | undefined }
  | { Status: 'FAILED'; Error: ErrorObject | undefined }
  | { Status: 'PENDING' };

/** What a durable function answered; undefined for what is no such answer. */
export function parseAnswer(payload: string): Answer | undefined {
  const value: unknown = JSON.parse(payload);
  if (!isRecord(value)) return undefined;
  const { Status: status, Result: result, Error: error } = value;
  if (status === 'PENDING') return { Status: status };
  if (status === 'SUCCEEDED') {
    return { Status: status, Result: typeof result === 'string' ? result : undefined };
  }
  if (status === 'FAILED') return { Status: status, Error: isRecord(error) ? error : undefined };
  return undefined;
}

export function outcomeOf({ status, result, error }: Execution): InvocationOutcome {
  if (status === 'SUCCEEDED') return { outcome: 'returned', payload: result ?? 'null' };
  return {
    outcome: 'failed',
    crash: false,
    error: { errorType: error?.ErrorType ?? status, errorMessage: error?.ErrorMessage ?? status },
  };
}

/** As ListDurableExecutionsByFunction gives it. */
export function described({ arn, name, target, status, started, ended }: Execution) {
  return {
    DurableExecutionArn: arn,
    DurableExecutionName: name,
    FunctionArn: `${target.fn.arn}:${target.version}`,
    Status: status,
    StartTimestamp: new Date(started),
    ...(ended !== undefined && { EndTimestamp: new Date(ended) }),
  };
}

/** Waits for something that comes from outside the export function. */
export function isPending({ Type, Status }: Operation): boolean {
  return Status === 'PENDING' || (Status === 'STARTED' && (Type === 'WAIT' || Type === 'CALLBACK'));
}

export function isFinal({ Status }: Operation): boolean {
  return !['STARTED', 'PENDING', 'READY'].includes(Status ?? '');
}

/** The same for inputs that differ in the order of their members only. */
export function canonical(json: string): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (!isRecord(value)) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([left], [right]) => (left < right ? -1 : 1))
        .map(([key, item]) => [key, sorted(item)]),
    );
  };
  return JSON.stringify(sorted(JSON.parse(json)));
}

/** A page of an execution's state. */
export function page(operations: Operation[], from: number, size: number) {
  const next = from + size;
  return {
    Operations: operations.slice(from, next),
    ...(next < operations.length && { NextMarker: String(next) }),
  };
}
