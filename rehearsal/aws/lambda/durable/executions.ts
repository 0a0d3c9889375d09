import { randomUUID } from 'node:crypto';
import type { ErrorObject } from '@aws-sdk/client-lambda';
import { AwsError } from '../../aws-error.ts';
import type { Cloud, InvocationError, InvocationOutcome } from '../../cloud.ts';
import type { Runner } from '../asynchronous.ts';
import type { Target } from '../function.ts';
import {
  canonical,
  type Execution,
  type ExecutionStatus,
  isPending,
  outcomeOf,
  page,
  parseAnswer,
} from './execution.ts';
import { eventError, eventResult, History } from './history.ts';
import { LARGEST_ANSWER } from './limits.ts';
import { commonOf, type Due } from './update.ts';

/**
 * Lambda repeats an invocation that crashed or timed out "with exponential backoff" until the execution's own timeout; no
 * retry strategy is asked (Developer Guide, "Retries for Lambda durable functions", June 2026). First wait and longest one are
 * not published: assumed (README.md, beside this).
 */
const FIRST_RETRY = 1000;
const LONGEST_RETRY = 5 * 60_000;

/** What durable executions need of Lambda. */
export interface DurableRunner extends Runner {
  /** Sends an event that failed for good to the function's dead-letter queue, if it has one. */
  deadLetter(target: Target, payload: string, error: InvocationError): void;
  /** Throws `ResourceNotFoundException`. */
  target(arn: string): Target;
}

/** The executions of durable functions, from their start to their end. */
export class Executions {
  /**
   * Operations in one answer with an execution's state. Lambda fills an answer up to its size limit; few here, so that a
   * rehearsal goes through several.
   */
  page = 50;
  protected readonly aws: Cloud;
  protected readonly lambda: DurableRunner;
  protected readonly executions = new Map<string, Execution>();

  constructor(aws: Cloud, lambda: DurableRunner) {
    this.aws = aws;
    this.lambda = lambda;
  }

  /**
   * Begins an execution, or finds the one that has the name and the same input already.
   * Throws `DurableExecutionAlreadyStartedException` if that one's input is another.
   */
  start(target: Target, input: string, name: string = randomUUID()): Execution {
    const { fn, version } = target;
    const { clock } = this.aws;
    // In its own name, not in that of who invokes.
    const refused = this.aws.access.checkKey(
      fn.durable?.keyArn,
      { kind: 'service', service: 'lambda.amazonaws.com' },
      ['kms:GenerateDataKey', 'kms:Decrypt'],
      {
        'aws:SourceAccount': fn.account,
        'aws:SourceArn': fn.arn,
        'kms:EncryptionContext:aws:lambda:FunctionArn': fn.arn,
      },
      fn,
    );
    if (refused !== undefined) throw new AwsError('KMSAccessDeniedException', refused);
    // Names are unique per account and region.
    const existing = [...this.executions.values()].find(
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
      counted: 1,
      history: new History(),
      callbacks: new Map(),
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
    execution.history.add('ExecutionStarted', execution.started, {
      Id: id,
      ExecutionStartedDetails: {
        Input: { Payload: input },
        ExecutionTimeout: (fn.durable?.timeout ?? 0) / 1000,
      },
    });
    this.executions.set(execution.arn, execution);
    this.#tell(execution);
    this.lambda.count(target, 'DurableExecutionStarted', 1);
    this.at(execution, execution.started + (fn.durable?.timeout ?? 0), () =>
      this.end(execution, 'TIMED_OUT', {
        error: {
          ErrorType: 'Lambda.DurableExecutionTimedOut',
          ErrorMessage: 'The durable execution timed out.',
        },
      }),
    );
    this.wake(execution);
    return execution;
  }

  /** Settles with the execution's end. */
  ended(execution: Execution): Promise<InvocationOutcome> {
    if (execution.status !== 'RUNNING') return Promise.resolve(outcomeOf(execution));
    return new Promise((resolve) => execution.waiting.push(resolve));
  }

  close(): void {
    for (const execution of this.executions.values()) for (const cancel of execution.cancels) cancel();
  }

  protected wake(execution: Execution, time = this.aws.clock.now()): void {
    if (execution.running || execution.scheduled || execution.status !== 'RUNNING') return;
    execution.scheduled = true;
    this.at(execution, time, () => {
      execution.scheduled = false;
      return this.#invoke(execution);
    });
  }

  async #invoke(execution: Execution): Promise<void> {
    if (execution.status !== 'RUNNING') return;
    const { target } = execution;
    execution.running = true;
    execution.invocations++;
    const began = this.aws.clock.now();
    const requestId = randomUUID();
    const updated = [...execution.changed];
    execution.changed.clear();
    const { Operations, NextMarker } = page([...execution.operations.values()], 0, this.page);
    const event = {
      DurableExecutionArn: execution.arn,
      CheckpointToken: this.newToken(execution),
      InitialExecutionState: { Operations, NextMarker: NextMarker ?? '' },
      ...(updated.length > 0 && { UpdatedOperationIds: updated }),
    };
    const outcome = await this.lambda.run(
      target,
      JSON.stringify(event),
      {
        payload: execution.input,
        attempt: execution.invocations,
      },
      requestId,
    );
    execution.running = false;
    const answer = outcome.outcome === 'returned' ? parseAnswer(outcome.payload) : undefined;
    const ended = this.aws.clock.now();
    execution.history.add('InvocationCompleted', ended, {
      InvocationCompletedDetails: {
        StartTimestamp: new Date(began),
        EndTimestamp: new Date(ended),
        RequestId: requestId,
        ...eventError(invocationError(outcome, answer)),
      },
    });
    // From here on this invocation's token is stale.
    this.newToken(execution);
    if (this.executions.get(execution.arn)?.status !== 'RUNNING') return;
    const final = [...execution.operations.values()][0];
    if (final?.Status === 'SUCCEEDED' || final?.Status === 'FAILED') {
      this.end(execution, final.Status, { result: execution.result, error: execution.error });
      return;
    }
    if (answer === undefined) return this.#crashed(execution);
    execution.crashes = 0;
    if (answer.Status === 'SUCCEEDED' && Buffer.byteLength(answer.Result ?? '') > LARGEST_ANSWER) {
      const ErrorMessage = `the answer of an asynchronous execution has at most ${LARGEST_ANSWER} bytes`;
      this.end(execution, 'FAILED', { error: { ErrorType: 'Function.ResponseSizeTooLarge', ErrorMessage } });
    } else if (answer.Status === 'SUCCEEDED') {
      this.end(execution, 'SUCCEEDED', { result: answer.Result });
    } else if (answer.Status === 'FAILED') {
      this.end(execution, 'FAILED', { error: answer.Error });
    } else if (execution.changed.size > 0) {
      this.wake(execution);
    } else if (![...execution.operations.values()].some(isPending)) {
      this.end(execution, 'FAILED', {
        error: {
          ErrorType: 'InvalidParameterValueException',
          ErrorMessage: 'Cannot return PENDING status with no pending operations.',
        },
      });
    }
  }

  #crashed(execution: Execution): void {
    execution.crashes++;
    const wait = Math.min(FIRST_RETRY * 2 ** (execution.crashes - 1), LONGEST_RETRY);
    this.wake(execution, this.aws.clock.now() + wait);
  }

  /** Changes an operation when its time comes, unless something else has ended it by then, and wakes the function. */
  protected later(execution: Execution, id: string, { time, change }: Due): void {
    this.at(execution, time.getTime(), () => {
      const operation = execution.operations.get(id);
      if (operation === undefined || !isPending(operation) || execution.status !== 'RUNNING') return;
      const due = operation.StepDetails?.NextAttemptTimestamp;
      if (due !== undefined && due.getTime() !== time.getTime()) return;
      // A heartbeat has put it off.
      if (operation.Type === 'CALLBACK' && execution.callbacks.get(id)?.due !== time.getTime()) return;
      const changed = change(operation);
      execution.operations.set(id, changed);
      const { StartTimestamp: started } = operation;
      if (operation.Type === 'WAIT') {
        const seconds = (time.getTime() - (started?.getTime() ?? time.getTime())) / 1000;
        execution.history.add('WaitSucceeded', time.getTime(), {
          ...commonOf(operation),
          WaitSucceededDetails: { Duration: seconds },
        });
      } else if (operation.Type === 'CALLBACK') {
        execution.history.add('CallbackTimedOut', time.getTime(), {
          ...commonOf(operation),
          CallbackTimedOutDetails: eventError(changed.CallbackDetails?.Error),
        });
      }
      execution.changed.add(id);
      this.wake(execution);
    });
  }

  protected end(
    execution: Execution,
    status: Exclude<ExecutionStatus, 'RUNNING'>,
    { result, error }: { result?: string | undefined; error?: ErrorObject | undefined },
  ): void {
    if (execution.status !== 'RUNNING') return;
    const { clock } = this.aws;
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
    execution.history.add(...endEvent(execution, status, id));
    for (const cancel of execution.cancels) cancel();
    execution.cancels.clear();
    const metric = { SUCCEEDED: 'Succeeded', FAILED: 'Failed', TIMED_OUT: 'TimedOut', STOPPED: 'Stopped' }[
      status
    ];
    this.lambda.count(target, `DurableExecution${metric}`, 1);
    this.lambda.count(target, 'DurableExecutionDuration', execution.ended - execution.started);
    this.lambda.count(target, 'DurableExecutionOperations', execution.counted);
    this.#tell(execution);
    if (status !== 'SUCCEEDED') {
      this.lambda.deadLetter(target, execution.input, {
        errorType: error?.ErrorType ?? status,
        errorMessage: error?.ErrorMessage ?? `The durable execution ended as ${status}.`,
      });
    }
    for (const resolve of execution.waiting) resolve(outcomeOf(execution));
    clock.at(execution.ended + (target.fn.durable?.retention ?? 0), () => {
      this.executions.delete(execution.arn);
    });
  }

  /** The status event that Lambda sends to the default bus. */
  #tell({ arn, name, target, status, started, ended }: Execution): void {
    this.aws.events.emit(
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

  protected newToken(execution: Execution): string {
    execution.tokens++;
    execution.token = Buffer.from(JSON.stringify([execution.arn, execution.tokens])).toString('base64');
    return execution.token;
  }

  protected checkToken(execution: Execution, token: string | undefined): void {
    if (execution.status !== 'RUNNING' || !execution.running || token !== execution.token) {
      // The SDK goes by the first words.
      throw new AwsError(
        'InvalidParameterValueException',
        'Invalid Checkpoint Token: it is not the latest one.',
      );
    }
  }

  private at(execution: Execution, time: number, task: () => void | Promise<void>): void {
    const cancel = this.aws.clock.at(time, () => {
      execution.cancels.delete(cancel);
      return task();
    });
    execution.cancels.add(cancel);
  }

  protected find(arn: string | undefined): Execution {
    const execution = this.executions.get(arn ?? '');
    if (execution === undefined) {
      throw new AwsError('ResourceNotFoundException', `Durable execution not found: ${arn}`, {
        Type: 'User',
      });
    }
    return execution;
  }
}

function invocationError(
  outcome: InvocationOutcome,
  answer: ReturnType<typeof parseAnswer>,
): ErrorObject | undefined {
  if (outcome.outcome === 'failed') {
    return { ErrorType: outcome.error.errorType, ErrorMessage: outcome.error.errorMessage };
  }
  if (answer === undefined) {
    return {
      ErrorType: 'InvalidParameterValueException',
      ErrorMessage: 'Invalid Status in invocation output.',
    };
  }
  return answer.Status === 'FAILED' ? answer.Error : undefined;
}

function endEvent(
  { ended = 0, result, error }: Execution,
  status: Exclude<ExecutionStatus, 'RUNNING'>,
  Id: string | undefined,
): Parameters<History['add']> {
  switch (status) {
    case 'SUCCEEDED':
      return ['ExecutionSucceeded', ended, { Id, ExecutionSucceededDetails: eventResult(result) }];
    case 'FAILED':
      return ['ExecutionFailed', ended, { Id, ExecutionFailedDetails: eventError(error) }];
    case 'TIMED_OUT':
      return ['ExecutionTimedOut', ended, { Id, ExecutionTimedOutDetails: eventError(error) }];
    case 'STOPPED':
      return ['ExecutionStopped', ended, { Id, ExecutionStoppedDetails: eventError(error) }];
  }
}
