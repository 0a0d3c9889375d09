import { randomUUID } from 'node:crypto';
import type {
  CheckpointDurableExecutionCommandInput,
  CheckpointDurableExecutionResponse,
  ErrorObject,
  GetDurableExecutionCommandInput,
  GetDurableExecutionHistoryCommandInput,
  GetDurableExecutionStateCommandInput,
  ListDurableExecutionsByFunctionCommandInput,
  Operation,
  OperationUpdate,
  SendDurableExecutionCallbackFailureCommandInput,
  SendDurableExecutionCallbackSuccessCommandInput,
  StopDurableExecutionCommandInput,
} from '@aws-sdk/client-lambda';
import { AwsError } from '../aws-error.ts';
import {
  type Ask,
  anywhere,
  type Call,
  type Cloud,
  type InvocationError,
  type InvocationOutcome,
  type Operations,
  operation,
  required,
} from '../cloud.ts';
import { isRecord, textOf } from '../wire/values.ts';
import { functionArn } from './arn.ts';
import type { Runner } from './asynchronous.ts';
import type { Target } from './function.ts';

type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'STOPPED';

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

/**
 * Operations in one answer with an execution's state. Lambda fills an answer up to its size limit; small pages here, so
 * that a rehearsal goes through them.
 */
const PAGE = 10;
/** Lambda's limits of one execution. */
const MAXIMUM_OPERATIONS = 3000;
/** Crashes in a row after which the stand-in gives up; each is tried again twice as late as the one before. */
const MAXIMUM_CRASHES = 6;
const FIRST_RETRY = 1000;
const SECOND = 1000;

/** What durable executions need of Lambda. */
export interface DurableRunner extends Runner {
  /** Sends an event that failed for good to the function's dead-letter queue, if it has one. */
  deadLetter(target: Target, payload: string, error: InvocationError): void;
  /** Throws `ResourceNotFoundException`. */
  target(arn: string): Target;
}

/** Lambda's durable executions. */
export class DurableExecutions {
  /** Operations in an answer, and in what an invocation begins with. */
  page = PAGE;
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #lambda: DurableRunner;
  readonly #executions = new Map<string, Execution>();

  constructor(aws: Cloud, lambda: DurableRunner) {
    this.#aws = aws;
    this.#lambda = lambda;
    this.operations = {
      CheckpointDurableExecution: operation(
        onExecution('CheckpointDurableExecution'),
        (input: CheckpointDurableExecutionCommandInput) => this.#checkpoint(input),
      ),
      GetDurableExecutionState: operation(
        onExecution('GetDurableExecutionState'),
        (input: GetDurableExecutionStateCommandInput) => {
          const execution = this.#find(input.DurableExecutionArn);
          this.#checkToken(execution, input.CheckpointToken);
          const size = Math.min(input.MaxItems || this.page, this.page);
          return page([...execution.operations.values()], Number(input.Marker ?? 0), size);
        },
      ),
      GetDurableExecution: operation(
        onExecution('GetDurableExecution'),
        (input: GetDurableExecutionCommandInput) => {
          const execution = this.#find(input.DurableExecutionArn);
          return {
            ...described(execution),
            InputPayload: execution.input,
            Version: execution.target.version,
            ...(execution.result !== undefined && { Result: execution.result }),
            ...(execution.error !== undefined && { Error: execution.error }),
          };
        },
      ),
      GetDurableExecutionHistory: operation(
        onExecution('GetDurableExecutionHistory'),
        (input: GetDurableExecutionHistoryCommandInput) => ({
          Events: this.#history(this.#find(input.DurableExecutionArn), input.ReverseOrder === true),
        }),
      ),
      ListDurableExecutionsByFunction: operation(
        ({ FunctionName, Qualifier }: ListDurableExecutionsByFunctionCommandInput, call) => [
          {
            action: 'lambda:ListDurableExecutionsByFunction',
            resource: functionArn(required(FunctionName), call, Qualifier),
          },
        ],
        (input, call) => this.#list(input, call),
      ),
      StopDurableExecution: operation(
        onExecution('StopDurableExecution'),
        (input: StopDurableExecutionCommandInput) => {
          const execution = this.#find(input.DurableExecutionArn);
          if (execution.status === 'RUNNING') this.#end(execution, 'STOPPED', { error: input.Error });
          return { StopTimestamp: new Date(execution.ended ?? this.#aws.clock.now()) };
        },
      ),
      SendDurableExecutionCallbackSuccess: operation(
        anywhere('lambda:SendDurableExecutionCallbackSuccess'),
        (input: SendDurableExecutionCallbackSuccessCommandInput) => {
          const result = textOf(input.Result);
          this.#callBack(input.CallbackId, 'SUCCEEDED', { ...(result !== undefined && { Result: result }) });
        },
      ),
      SendDurableExecutionCallbackFailure: operation(
        anywhere('lambda:SendDurableExecutionCallbackFailure'),
        (input: SendDurableExecutionCallbackFailureCommandInput) => {
          this.#callBack(input.CallbackId, 'FAILED', {
            ...(input.Error !== undefined && { Error: input.Error }),
          });
        },
      ),
    };
  }

  /**
   * Begins an execution, or finds the one that has the name and the same input already.
   * Throws `DurableExecutionAlreadyStartedException` if that one's input is another.
   */
  start(target: Target, input: string, name: string = randomUUID()): Execution {
    const { fn, version } = target;
    const { clock } = this.#aws;
    // Names are unique per account and region.
    const existing = [...this.#executions.values()].find(
      (other) =>
        other.name === name && other.target.fn.account === fn.account && other.target.fn.region === fn.region,
    );
    if (existing !== undefined) {
      if (existing.target.fn === fn && canonical(existing.input) === canonical(input)) return existing;
      throw new AwsError(
        'DurableExecutionAlreadyStartedException',
        `Durable execution with name ${name} already exists with a different payload or function.`,
        { Type: 'User' },
      );
    }
    const id = randomUUID();
    const execution: Execution = {
      arn: `${fn.arn}:${version}/durable-execution/${name}/${id}`,
      name,
      target,
      input,
      status: 'RUNNING',
      started: clock.now(),
      ended: undefined,
      result: undefined,
      error: undefined,
      operations: new Map(),
      changed: new Set(),
      token: '',
      tokens: 0,
      latest: undefined,
      invocations: 0,
      crashes: 0,
      running: false,
      scheduled: false,
      cancels: new Set(),
      waiting: [],
    };
    execution.operations.set(id, {
      Id: id,
      Type: 'EXECUTION',
      Name: name,
      Status: 'STARTED',
      StartTimestamp: new Date(execution.started),
      ExecutionDetails: { InputPayload: input },
    });
    this.#executions.set(execution.arn, execution);
    this.#tell(execution);
    this.#lambda.count(target, 'DurableExecutionStarted', 1);
    this.#at(execution, execution.started + (fn.durable?.timeout ?? 0), () =>
      this.#end(execution, 'TIMED_OUT', {
        error: {
          ErrorType: 'Lambda.DurableExecutionTimedOut',
          ErrorMessage: 'The durable execution timed out.',
        },
      }),
    );
    this.#wake(execution);
    return execution;
  }

  /** Settles with the execution's end. */
  ended(execution: Execution): Promise<InvocationOutcome> {
    if (execution.status !== 'RUNNING') return Promise.resolve(outcomeOf(execution));
    return new Promise((resolve) => execution.waiting.push(resolve));
  }

  /** Everything on record, for a test or a table. */
  list(): {
    arn: string;
    name: string;
    status: ExecutionStatus;
    invocations: number;
    operations: Operation[];
  }[] {
    return [...this.#executions.values()].map(({ arn, name, status, invocations, operations }) => ({
      arn,
      name,
      status,
      invocations,
      operations: [...operations.values()],
    }));
  }

  close(): void {
    for (const execution of this.#executions.values()) for (const cancel of execution.cancels) cancel();
  }

  #wake(execution: Execution, time = this.#aws.clock.now()): void {
    if (execution.running || execution.scheduled || execution.status !== 'RUNNING') return;
    execution.scheduled = true;
    this.#at(execution, time, () => {
      execution.scheduled = false;
      return this.#invoke(execution);
    });
  }

  async #invoke(execution: Execution): Promise<void> {
    if (execution.status !== 'RUNNING') return;
    const { target } = execution;
    execution.running = true;
    execution.invocations++;
    const updated = [...execution.changed];
    execution.changed.clear();
    const { Operations, NextMarker } = page([...execution.operations.values()], 0, this.page);
    const event = {
      DurableExecutionArn: execution.arn,
      CheckpointToken: this.#newToken(execution),
      InitialExecutionState: { Operations, NextMarker: NextMarker ?? '' },
      ...(updated.length > 0 && { UpdatedOperationIds: updated }),
    };
    const outcome = await this.#lambda.run(target, JSON.stringify(event), {
      payload: execution.input,
      attempt: execution.invocations,
    });
    execution.running = false;
    // From here on this invocation's token is stale.
    this.#newToken(execution);
    if (this.#executions.get(execution.arn)?.status !== 'RUNNING') return;
    const final = [...execution.operations.values()][0];
    if (final?.Status === 'SUCCEEDED' || final?.Status === 'FAILED') {
      this.#end(execution, final.Status, { result: execution.result, error: execution.error });
      return;
    }
    const answer = outcome.outcome === 'returned' ? parseAnswer(outcome.payload) : undefined;
    if (answer === undefined) return this.#crashed(execution, outcome);
    execution.crashes = 0;
    if (answer.Status === 'SUCCEEDED') {
      this.#end(execution, 'SUCCEEDED', { result: answer.Result });
    } else if (answer.Status === 'FAILED') {
      this.#end(execution, 'FAILED', { error: answer.Error });
    } else if (execution.changed.size > 0) {
      this.#wake(execution);
    } else if (![...execution.operations.values()].some(isPending)) {
      this.#end(execution, 'FAILED', {
        error: {
          ErrorType: 'InvalidParameterValueException',
          ErrorMessage: 'Cannot return PENDING status with no pending operations.',
        },
      });
    }
  }

  #crashed(execution: Execution, outcome: InvocationOutcome): void {
    execution.crashes++;
    if (execution.crashes >= MAXIMUM_CRASHES) {
      const error =
        outcome.outcome === 'failed'
          ? { ErrorType: outcome.error.errorType, ErrorMessage: outcome.error.errorMessage }
          : {
              ErrorType: 'InvalidParameterValueException',
              ErrorMessage: 'Invalid Status in invocation output.',
            };
      this.#end(execution, 'FAILED', { error });
      return;
    }
    this.#wake(execution, this.#aws.clock.now() + FIRST_RETRY * 2 ** (execution.crashes - 1));
  }

  #checkpoint(input: CheckpointDurableExecutionCommandInput): CheckpointDurableExecutionResponse {
    const execution = this.#find(input.DurableExecutionArn);
    const { latest } = execution;
    if (
      latest !== undefined &&
      latest.token === input.CheckpointToken &&
      input.ClientToken !== undefined &&
      latest.clientToken === input.ClientToken
    ) {
      return latest.response;
    }
    this.#checkToken(execution, input.CheckpointToken);
    const touched = new Set<string>();
    for (const update of input.Updates ?? []) {
      this.#apply(execution, update);
      if (update.Id !== undefined) touched.add(update.Id);
    }
    for (const id of execution.changed) touched.add(id);
    execution.changed.clear();
    const operations = [...touched].flatMap((id) => execution.operations.get(id) ?? []);
    const response: CheckpointDurableExecutionResponse = {
      CheckpointToken: this.#newToken(execution),
      NewExecutionState: { Operations: operations },
    };
    execution.latest = {
      token: input.CheckpointToken ?? '',
      clientToken: input.ClientToken ?? '',
      response,
    };
    execution.crashes = 0;
    return response;
  }

  #apply(execution: Execution, update: OperationUpdate): void {
    const { Id: id = '', Type: type, Action: action } = update;
    const now = new Date(this.#aws.clock.now());
    const before = execution.operations.get(id);
    if (execution.operations.size >= MAXIMUM_OPERATIONS && before === undefined) {
      throw invalid(`the execution has its ${MAXIMUM_OPERATIONS} operations already`);
    }
    if (type === 'EXECUTION') {
      this.#applyExecution(execution, update, now);
      return;
    }
    if (before !== undefined && isFinal(before)) {
      throw invalid(`Cannot update operation ${id}: it has ended already`);
    }
    if (update.ParentId !== undefined && !execution.operations.has(update.ParentId)) {
      throw invalid(`Invalid parent operation id ${update.ParentId}`);
    }
    const operation: Operation = {
      Id: id,
      Type: type,
      StartTimestamp: now,
      ...before,
      Status: 'STARTED',
      ...(update.ParentId !== undefined && { ParentId: update.ParentId }),
      ...(update.Name !== undefined && { Name: update.Name }),
      ...(update.SubType !== undefined && { SubType: update.SubType }),
    };
    const result = {
      ...(update.Payload !== undefined && { Result: update.Payload }),
      ...(update.Error !== undefined && { Error: update.Error }),
    };
    const ending = ENDINGS[action ?? ''];
    if (ending !== undefined) {
      operation.Status = ending;
      operation.EndTimestamp = now;
    }
    switch (type) {
      case 'STEP': {
        const attempts = before?.StepDetails?.Attempt ?? 0;
        if (action === 'RETRY') {
          const next = new Date(now.getTime() + (update.StepOptions?.NextAttemptDelaySeconds ?? 0) * SECOND);
          operation.Status = 'PENDING';
          operation.StepDetails = { ...result, Attempt: attempts + 1, NextAttemptTimestamp: next };
          this.#later(execution, id, next, (due) => ({ ...due, Status: 'READY' }));
        } else if (action === 'START') {
          operation.StepDetails = { ...before?.StepDetails, Attempt: attempts };
          delete operation.StepDetails.NextAttemptTimestamp;
        } else {
          operation.StepDetails = { ...result, Attempt: attempts + 1 };
        }
        break;
      }
      case 'WAIT': {
        if (action !== 'START') break;
        const end = new Date(now.getTime() + (update.WaitOptions?.WaitSeconds ?? 0) * SECOND);
        operation.WaitDetails = { ScheduledEndTimestamp: end };
        this.#later(execution, id, end, (due) => ({ ...due, Status: 'SUCCEEDED', EndTimestamp: end }));
        break;
      }
      case 'CONTEXT': {
        const replayed = update.ContextOptions?.ReplayChildren ?? before?.ContextDetails?.ReplayChildren;
        operation.ContextDetails = { ...result, ...(replayed !== undefined && { ReplayChildren: replayed }) };
        break;
      }
      case 'CALLBACK': {
        if (action !== 'START') break;
        operation.CallbackDetails = {
          CallbackId: Buffer.from(JSON.stringify([execution.arn, id])).toString('base64'),
        };
        const seconds = update.CallbackOptions?.TimeoutSeconds;
        if (seconds !== undefined && seconds > 0) {
          const end = new Date(now.getTime() + seconds * SECOND);
          this.#later(execution, id, end, (due) => ({ ...due, Status: 'TIMED_OUT', EndTimestamp: end }));
        }
        break;
      }
      default:
        throw invalid(`the rehearsal's stand-in has no operations of the type ${type}`);
    }
    execution.operations.set(id, operation);
  }

  /** A result that is too large for the invocation's answer comes as a checkpoint. */
  #applyExecution(execution: Execution, update: OperationUpdate, now: Date): void {
    const [id, operation] = [...execution.operations][0] ?? [];
    if (id === undefined || operation === undefined) throw invalid('the execution has no record');
    execution.operations.set(id, {
      ...operation,
      Status: update.Action === 'SUCCEED' ? 'SUCCEEDED' : 'FAILED',
      EndTimestamp: now,
    });
    execution.result = update.Payload;
    execution.error = update.Error;
  }

  /** Changes an operation when its time comes, unless something else has ended it by then, and wakes the function. */
  #later(execution: Execution, id: string, time: Date, change: (operation: Operation) => Operation): void {
    this.#at(execution, time.getTime(), () => {
      const operation = execution.operations.get(id);
      if (operation === undefined || !isPending(operation) || execution.status !== 'RUNNING') return;
      const due = operation.StepDetails?.NextAttemptTimestamp;
      if (due !== undefined && due.getTime() !== time.getTime()) return;
      execution.operations.set(id, change(operation));
      execution.changed.add(id);
      this.#wake(execution);
    });
  }

  #callBack(
    callbackId: string | undefined,
    status: 'SUCCEEDED' | 'FAILED',
    details: { Result?: string; Error?: ErrorObject },
  ): void {
    for (const execution of this.#executions.values()) {
      for (const [id, operation] of execution.operations) {
        if (operation.CallbackDetails?.CallbackId !== callbackId || callbackId === undefined) continue;
        if (execution.status !== 'RUNNING' || isFinal(operation)) break;
        execution.operations.set(id, {
          ...operation,
          Status: status,
          EndTimestamp: new Date(this.#aws.clock.now()),
          CallbackDetails: { ...operation.CallbackDetails, ...details },
        });
        execution.changed.add(id);
        this.#wake(execution);
        return;
      }
    }
    throw new AwsError('CallbackTimeoutException', 'The callback has ended, or there is none with this id.');
  }

  #end(
    execution: Execution,
    status: Exclude<ExecutionStatus, 'RUNNING'>,
    { result, error }: { result?: string | undefined; error?: ErrorObject | undefined },
  ): void {
    if (execution.status !== 'RUNNING') return;
    const { clock } = this.#aws;
    const { target } = execution;
    execution.status = status;
    execution.ended = clock.now();
    execution.result = result;
    execution.error = error;
    const [id, operation] = [...execution.operations][0] ?? [];
    if (id !== undefined && operation !== undefined) {
      const at = operation.EndTimestamp ?? new Date(execution.ended);
      execution.operations.set(id, { ...operation, Status: status, EndTimestamp: at });
    }
    for (const cancel of execution.cancels) cancel();
    execution.cancels.clear();
    const metric = { SUCCEEDED: 'Succeeded', FAILED: 'Failed', TIMED_OUT: 'TimedOut', STOPPED: 'Stopped' }[
      status
    ];
    this.#lambda.count(target, `DurableExecution${metric}`, 1);
    this.#lambda.count(target, 'DurableExecutionDuration', execution.ended - execution.started);
    this.#lambda.count(target, 'DurableExecutionOperations', execution.operations.size);
    this.#tell(execution);
    if (status !== 'SUCCEEDED') {
      this.#lambda.deadLetter(target, execution.input, {
        errorType: error?.ErrorType ?? status,
        errorMessage: error?.ErrorMessage ?? `The durable execution ended as ${status}.`,
      });
    }
    for (const resolve of execution.waiting) resolve(outcomeOf(execution));
    clock.at(execution.ended + (target.fn.durable?.retention ?? 0), () => {
      this.#executions.delete(execution.arn);
    });
  }

  /** The status event that Lambda sends to the default bus. */
  #tell({ arn, name, target, status, started, ended }: Execution): void {
    this.#aws.events.emit(
      target.fn,
      'aws.lambda',
      'Durable Execution Status Change',
      {
        durableExecutionArn: arn,
        durableExecutionName: name,
        functionArn: `${target.fn.arn}:${target.version}`,
        status,
        startTimestamp: new Date(started).toISOString(),
        ...(ended !== undefined && { endTimestamp: new Date(ended).toISOString() }),
      },
      [arn],
    );
  }

  #list(input: ListDurableExecutionsByFunctionCommandInput, call: Call) {
    const { fn, qualifier, version } = this.#lambda.target(
      functionArn(required(input.FunctionName), call, input.Qualifier),
    );
    const qualified = qualifier === undefined ? undefined : version;
    const found = [...this.#executions.values()]
      .filter(
        ({ target, name, status, started }) =>
          target.fn === fn &&
          (qualified === undefined || target.version === qualified) &&
          (input.DurableExecutionName ?? name) === name &&
          (input.Statuses === undefined || input.Statuses.length === 0 || input.Statuses.includes(status)) &&
          started >= (input.StartedAfter?.getTime() ?? 0) &&
          started <= (input.StartedBefore?.getTime() ?? Number.POSITIVE_INFINITY),
      )
      .map(described);
    if (input.ReverseOrder === true) found.reverse();
    const from = Number(input.Marker ?? 0);
    const size = input.MaxItems || 100;
    const next = from + size;
    return {
      DurableExecutions: found.slice(from, next),
      ...(next < found.length && { NextMarker: String(next) }),
    };
  }

  #history(execution: Execution, reverse: boolean) {
    const events = [...execution.operations.values()].flatMap((operation) => {
      const { Id, Name, SubType, ParentId, Type, Status, StartTimestamp, EndTimestamp } = operation;
      const kind = HISTORY_KINDS[Type ?? ''];
      if (kind === undefined) return [];
      const common = {
        Id,
        ...(Name !== undefined && { Name }),
        ...(SubType !== undefined && { SubType }),
        ...(ParentId !== undefined && { ParentId }),
      };
      const ending = HISTORY_ENDINGS[Status ?? ''];
      return [
        { ...common, EventType: `${kind}Started`, EventTimestamp: StartTimestamp },
        ...(ending !== undefined && EndTimestamp !== undefined
          ? [{ ...common, EventType: `${kind}${ending}`, EventTimestamp: EndTimestamp }]
          : []),
      ];
    });
    events.sort((left, right) => Number(left.EventTimestamp) - Number(right.EventTimestamp));
    const numbered = events.map((event, index) => ({ ...event, EventId: index + 1 }));
    return reverse ? numbered.reverse() : numbered;
  }

  #newToken(execution: Execution): string {
    execution.tokens++;
    execution.token = Buffer.from(JSON.stringify([execution.arn, execution.tokens])).toString('base64');
    return execution.token;
  }

  #checkToken(execution: Execution, token: string | undefined): void {
    if (execution.status !== 'RUNNING' || !execution.running || token !== execution.token) {
      // The SDK goes by the first words.
      throw new AwsError(
        'InvalidParameterValueException',
        'Invalid Checkpoint Token: it is not the latest one.',
      );
    }
  }

  #at(execution: Execution, time: number, task: () => void | Promise<void>): void {
    const cancel = this.#aws.clock.at(time, () => {
      execution.cancels.delete(cancel);
      return task();
    });
    execution.cancels.add(cancel);
  }

  #find(arn: string | undefined): Execution {
    const execution = this.#executions.get(arn ?? '');
    if (execution === undefined) {
      throw new AwsError('ResourceNotFoundException', `Durable execution not found: ${arn}`, {
        Type: 'User',
      });
    }
    return execution;
  }
}

/** What an update's action makes of its operation. */
const ENDINGS: Record<string, 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | undefined> = {
  SUCCEED: 'SUCCEEDED',
  FAIL: 'FAILED',
  CANCEL: 'CANCELLED',
};

const HISTORY_KINDS: Record<string, string> = {
  EXECUTION: 'Execution',
  CONTEXT: 'Context',
  WAIT: 'Wait',
  STEP: 'Step',
  CALLBACK: 'Callback',
};
const HISTORY_ENDINGS: Record<string, string> = {
  SUCCEEDED: 'Succeeded',
  FAILED: 'Failed',
  CANCELLED: 'Cancelled',
  TIMED_OUT: 'TimedOut',
  STOPPED: 'Stopped',
};

type Answer =
  | { Status: 'SUCCEEDED'; Result: string | undefined }
  | { Status: 'FAILED'; Error: ErrorObject | undefined }
  | { Status: 'PENDING' };

function parseAnswer(payload: string): Answer | undefined {
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

function outcomeOf({ status, result, error }: Execution): InvocationOutcome {
  if (status === 'SUCCEEDED') return { outcome: 'returned', payload: result ?? 'null' };
  return {
    outcome: 'failed',
    crash: false,
    error: { errorType: error?.ErrorType ?? status, errorMessage: error?.ErrorMessage ?? status },
  };
}

function described({ arn, name, target, status, started, ended }: Execution) {
  return {
    DurableExecutionArn: arn,
    DurableExecutionName: name,
    FunctionArn: `${target.fn.arn}:${target.version}`,
    Status: status,
    StartTimestamp: new Date(started),
    ...(ended !== undefined && { EndTimestamp: new Date(ended) }),
  };
}

function page(operations: Operation[], from: number, size: number) {
  const next = from + size;
  return {
    Operations: operations.slice(from, next),
    ...(next < operations.length && { NextMarker: String(next) }),
  };
}

/** Waits for something that comes from outside the function. */
function isPending({ Type, Status }: Operation): boolean {
  return Status === 'PENDING' || (Status === 'STARTED' && (Type === 'WAIT' || Type === 'CALLBACK'));
}

function isFinal({ Status }: Operation): boolean {
  return !['STARTED', 'PENDING', 'READY'].includes(Status ?? '');
}

function canonical(json: string): string {
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

function invalid(message: string): AwsError {
  return new AwsError('InvalidParameterValueException', message, { Type: 'User' });
}

function onExecution(action: string) {
  return ({ DurableExecutionArn }: { DurableExecutionArn: string | undefined }): Ask[] => [
    { action: `lambda:${action}`, resource: required(DurableExecutionArn) },
  ];
}
