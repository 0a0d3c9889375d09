import type {
  CheckpointDurableExecutionCommandInput,
  CheckpointDurableExecutionResponse,
  ErrorObject,
  Event,
  GetDurableExecutionCommandInput,
  GetDurableExecutionHistoryCommandInput,
  GetDurableExecutionStateCommandInput,
  ListDurableExecutionsByFunctionCommandInput,
  Operation,
  SendDurableExecutionCallbackFailureCommandInput,
  SendDurableExecutionCallbackHeartbeatCommandInput,
  SendDurableExecutionCallbackSuccessCommandInput,
  StopDurableExecutionCommandInput,
} from '@aws-sdk/client-lambda';
import { AwsError } from '../../aws-error.ts';
import {
  type Ask,
  anywhere,
  type Call,
  type Cloud,
  type Operations,
  operation,
  required,
} from '../../cloud.ts';
import { textOf } from '../../wire/values.ts';
import { functionArn } from '../arn.ts';
import { described, type Execution, type ExecutionStatus, isFinal, page } from './execution.ts';
import { type DurableRunner, Executions } from './executions.ts';
import { eventError, eventResult } from './history.ts';
import { checkUpdates, invalid } from './limits.ts';
import { applyUpdate, callbackDue, commonOf } from './update.ts';

/** Executions on a page of a list, at most (API reference, ListDurableExecutionsByFunction). */
const LARGEST_PAGE = 1000;

/** What AWS Lambda answers of durable executions, and what their functions record. */
export class DurableExecutions extends Executions {
  /**
   * Of ListDurableExecutionsByFunction without `ReverseOrder`. The text of November 2025 says oldest first, the one that the
   * SDK has today newest first: who rests on neither is right with both.
   */
  listOrder: 'newest first' | 'oldest first' = 'newest first';
  /** What the same list has without a qualifier: the SDK's text of today, and the one of November 2025. */
  unqualifiedList: 'all versions' | '$LATEST' = 'all versions';
  readonly operations: Operations;

  constructor(aws: Cloud, lambda: DurableRunner) {
    super(aws, lambda);
    this.operations = {
      CheckpointDurableExecution: operation(
        onExecution('CheckpointDurableExecution'),
        (input: CheckpointDurableExecutionCommandInput, call) => {
          this.#decrypts(this.find(input.DurableExecutionArn), call);
          return this.#checkpoint(input);
        },
      ),
      GetDurableExecutionState: operation(
        onExecution('GetDurableExecutionState'),
        (input: GetDurableExecutionStateCommandInput, call) => {
          const execution = this.find(input.DurableExecutionArn);
          this.checkToken(execution, input.CheckpointToken);
          this.#decrypts(execution, call);
          const size = Math.min(input.MaxItems || this.page, this.page);
          return page([...execution.operations.values()], Number(input.Marker ?? 0), size);
        },
      ),
      GetDurableExecution: operation(
        onExecution('GetDurableExecution'),
        (input: GetDurableExecutionCommandInput, call) => {
          const execution = this.find(input.DurableExecutionArn);
          // By default none: whoever says that it is wanted is right by both of AWS's texts.
          const included = input.IncludeExecutionData === true;
          if (included) this.#decrypts(execution, call);
          return {
            ...described(execution),
            Version: execution.target.version,
            ExecutionDataIncluded: included,
            ...(included && {
              InputPayload: execution.input,
              ...(execution.result !== undefined && { Result: execution.result }),
              ...(execution.error !== undefined && { Error: execution.error }),
            }),
          };
        },
      ),
      GetDurableExecutionHistory: operation(
        onExecution('GetDurableExecutionHistory'),
        (input: GetDurableExecutionHistoryCommandInput, call) => {
          const execution = this.find(input.DurableExecutionArn);
          const withData = input.IncludeExecutionData === true;
          if (withData) this.#decrypts(execution, call);
          return execution.history.page({
            reverse: input.ReverseOrder === true,
            withData,
            marker: input.Marker,
            size: input.MaxItems,
          });
        },
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
          const execution = this.find(input.DurableExecutionArn);
          if (execution.status === 'RUNNING') this.end(execution, 'STOPPED', { error: input.Error });
          return { StopTimestamp: new Date(execution.ended ?? this.aws.clock.now()) };
        },
      ),
      SendDurableExecutionCallbackSuccess: operation(
        anywhere('lambda:SendDurableExecutionCallbackSuccess'),
        (input: SendDurableExecutionCallbackSuccessCommandInput) => {
          const result = textOf(input.Result);
          this.#callBack(input.CallbackId, 'SUCCEEDED', { ...(result !== undefined && { Result: result }) });
        },
      ),
      SendDurableExecutionCallbackHeartbeat: operation(
        anywhere('lambda:SendDurableExecutionCallbackHeartbeat'),
        ({ CallbackId }: SendDurableExecutionCallbackHeartbeatCommandInput) => this.#heartbeat(CallbackId),
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

  /** Everything on record, for a test or a table. */
  list(): {
    arn: string;
    name: string;
    status: ExecutionStatus;
    /** Epoch milliseconds. */
    started: number;
    /** Undefined while it goes on. */
    ended: number | undefined;
    /** What happened in it, without payloads. */
    events: Event[];
    invocations: number;
    /** Operations as Lambda meters them: each retry and each poll counted. */
    counted: number;
    operations: Operation[];
  }[] {
    return [...this.executions.values()].map(
      ({ arn, name, status, started, ended, history, invocations, counted, operations }) => ({
        arn,
        name,
        status,
        started,
        ended,
        get events() {
          return history.all();
        },
        invocations,
        counted,
        operations: [...operations.values()],
      }),
    );
  }

  /** Whether the caller may read what is on record: in its name Lambda asks the key. */
  #decrypts({ target: { fn } }: Execution, call: Call): void {
    const refused = this.aws.access.checkKey(
      fn.durable?.keyArn,
      call.caller.principal,
      ['kms:Decrypt'],
      {
        'kms:ViaService': `lambda.${fn.region}.amazonaws.com`,
        'kms:EncryptionContext:aws:lambda:FunctionArn': fn.arn,
      },
      fn,
      call.caller.function?.name,
    );
    if (refused !== undefined) throw new AwsError('KMSAccessDeniedException', refused);
  }

  #checkpoint(input: CheckpointDurableExecutionCommandInput): CheckpointDurableExecutionResponse {
    const execution = this.find(input.DurableExecutionArn);
    const { latest } = execution;
    if (
      latest !== undefined &&
      latest.token === input.CheckpointToken &&
      input.ClientToken !== undefined &&
      latest.clientToken === input.ClientToken
    ) {
      return latest.response;
    }
    this.checkToken(execution, input.CheckpointToken);
    checkUpdates(input.Updates ?? []);
    const touched = new Set<string>();
    for (const update of input.Updates ?? []) {
      const due = applyUpdate(execution, update, this.aws.clock.now());
      if (update.Type === 'CALLBACK' && update.Id !== undefined) {
        execution.callbacks.set(update.Id, { options: update.CallbackOptions, due: due?.time.getTime() });
      }
      if (due !== undefined && update.Id !== undefined) this.later(execution, update.Id, due);
      if (update.Id !== undefined) touched.add(update.Id);
    }
    for (const id of execution.changed) touched.add(id);
    execution.changed.clear();
    const operations = [...touched].flatMap((id) => execution.operations.get(id) ?? []);
    const response: CheckpointDurableExecutionResponse = {
      CheckpointToken: this.newToken(execution),
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

  #callBack(
    callbackId: string | undefined,
    status: 'SUCCEEDED' | 'FAILED',
    details: { Result?: string; Error?: ErrorObject },
  ): void {
    const { execution, operation, id } = this.#waitingFor(callbackId);
    const now = this.aws.clock.now();
    execution.operations.set(id, {
      ...operation,
      Status: status,
      EndTimestamp: new Date(now),
      CallbackDetails: { ...operation.CallbackDetails, ...details },
    });
    if (status === 'SUCCEEDED') {
      execution.history.add('CallbackSucceeded', now, {
        ...commonOf(operation),
        CallbackSucceededDetails: eventResult(details.Result),
      });
    } else {
      execution.history.add('CallbackFailed', now, {
        ...commonOf(operation),
        CallbackFailedDetails: eventError(details.Error),
      });
    }
    execution.changed.add(id);
    this.wake(execution);
  }

  /** Puts the end of a callback's time off. */
  #heartbeat(callbackId: string | undefined): void {
    const { execution, operation, id } = this.#waitingFor(callbackId);
    const now = new Date(this.aws.clock.now());
    const callback = execution.callbacks.get(id);
    const due = callbackDue(callback?.options, operation.StartTimestamp ?? now, now);
    execution.callbacks.set(id, { options: callback?.options, due: due?.time.getTime() });
    if (due !== undefined) this.later(execution, id, due);
  }

  #waitingFor(callbackId: string | undefined): { execution: Execution; operation: Operation; id: string } {
    for (const execution of this.executions.values()) {
      for (const [id, operation] of execution.operations) {
        if (operation.CallbackDetails?.CallbackId !== callbackId || callbackId === undefined) continue;
        if (execution.status === 'RUNNING' && !isFinal(operation)) return { execution, operation, id };
      }
    }
    throw new AwsError('CallbackTimeoutException', 'The callback has ended, or there is none with this id.');
  }

  #list(input: ListDurableExecutionsByFunctionCommandInput, call: Call) {
    const { fn, qualifier, version } = this.lambda.target(
      functionArn(required(input.FunctionName), call, input.Qualifier),
    );
    const isOfAll = qualifier === undefined && this.unqualifiedList === 'all versions';
    const qualified = isOfAll ? undefined : version;
    if (input.Statuses !== undefined && input.Statuses.length > 1) {
      throw invalid('Statuses takes exactly one status');
    }
    if ((input.MaxItems ?? 0) > LARGEST_PAGE) throw invalid(`MaxItems is at most ${LARGEST_PAGE}`);
    const found = [...this.executions.values()]
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
    const newestFirst = (this.listOrder === 'newest first') !== (input.ReverseOrder === true);
    if (newestFirst) found.reverse();
    const from = Number(input.Marker ?? 0);
    const size = input.MaxItems || 100;
    const next = from + size;
    return {
      DurableExecutions: found.slice(from, next),
      ...(next < found.length && { NextMarker: String(next) }),
    };
  }
}

function onExecution(action: string) {
  return ({ DurableExecutionArn }: { DurableExecutionArn: string | undefined }): Ask[] => [
    { action: `lambda:${action}`, resource: required(DurableExecutionArn) },
  ];
}
