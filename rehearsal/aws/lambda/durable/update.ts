import type { CallbackOptions, Operation, OperationUpdate } from '@aws-sdk/client-lambda';
import { type Execution, isFinal } from './execution.ts';
import { eventError, eventResult } from './history.ts';
import { invalid, MOST_OPERATIONS } from './limits.ts';

const SECOND = 1000;

/** When an operation changes by itself, unless something else has ended it by then. */
export interface Due {
  time: Date;
  change(operation: Operation): Operation;
}

/** Takes an update of an operation into an execution's record. Throws what Lambda refuses it with. */
export function applyUpdate(execution: Execution, update: OperationUpdate, time: number): Due | undefined {
  const { Id: id = '', Type: type, Action: action } = update;
  const now = new Date(time);
  const before = execution.operations.get(id);
  if (type === 'EXECUTION') {
    applyExecution(execution, update, now);
    return undefined;
  }
  if (before === undefined || action === 'RETRY') execution.counted++;
  if (execution.counted > MOST_OPERATIONS) {
    throw invalid(`the execution has its ${MOST_OPERATIONS} operations already, each retry and poll counted`);
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
  let due: Due | undefined;
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
        due = { time: next, change: (waiting) => ({ ...waiting, Status: 'READY' }) };
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
      due = { time: end, change: (waiting) => ({ ...waiting, Status: 'SUCCEEDED', EndTimestamp: end }) };
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
      due = callbackDue(update.CallbackOptions, now, now);
      break;
    }
    default:
      throw invalid(`the rehearsal's stand-in has no operations of the type ${type}`);
  }
  execution.operations.set(id, operation);
  record(execution, update, before, operation, now);
  return due;
}

/** A result that is too large for the invocation's answer comes as a checkpoint. */
function applyExecution(execution: Execution, update: OperationUpdate, now: Date): void {
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

/** The end of a callback's time: that of its whole, or that since its last heartbeat, whichever is first. */
export function callbackDue(
  options: CallbackOptions | undefined,
  started: Date,
  heard: Date,
): Due | undefined {
  const ends = [
    {
      seconds: options?.TimeoutSeconds,
      from: started,
      error: { ErrorType: 'Callback.Timeout', ErrorMessage: 'Callback timed out' },
    },
    {
      seconds: options?.HeartbeatTimeoutSeconds,
      from: heard,
      error: { ErrorType: 'Callback.Heartbeat', ErrorMessage: 'Callback timed out on heartbeat' },
    },
  ].flatMap(({ seconds, from, error }) =>
    seconds === undefined || seconds <= 0
      ? []
      : [{ time: new Date(from.getTime() + seconds * SECOND), error }],
  );
  const [first] = ends.sort((one, other) => one.time.getTime() - other.time.getTime());
  if (first === undefined) return undefined;
  const { time, error } = first;
  return {
    time,
    change: (waiting) => ({
      ...waiting,
      Status: 'TIMED_OUT',
      EndTimestamp: time,
      CallbackDetails: {
        ...waiting.CallbackDetails,
        CallbackId: waiting.CallbackDetails?.CallbackId ?? '',
        Error: error,
      },
    }),
  };
}

/** The events of an update: a step's attempt has one for its beginning and one for its end, though both come at once. */
function record(
  { history }: Execution,
  update: OperationUpdate,
  earlier: Operation | undefined,
  operation: Operation,
  now: Date,
): void {
  const { Action: action, Type: type } = update;
  const time = now.getTime();
  const common = commonOf(operation);
  const began = earlier === undefined || earlier.Status === 'READY' || earlier.Status === 'PENDING';
  switch (type) {
    case 'STEP': {
      if (action === 'START' || began) {
        history.add('StepStarted', time, { ...common, StepStartedDetails: {} });
      }
      const delay = action === 'RETRY' ? update.StepOptions?.NextAttemptDelaySeconds : undefined;
      const before = (operation.StepDetails?.Attempt ?? 1) - 1;
      const retried = delay !== undefined && { NextAttemptDelaySeconds: delay };
      // A poll that has to be repeated is no failure.
      if (action === 'SUCCEED' || (action === 'RETRY' && update.Error === undefined)) {
        history.add('StepSucceeded', time, {
          ...common,
          StepSucceededDetails: {
            ...eventResult(update.Payload),
            RetryDetails: { ...retried, ...(before > 0 && { CurrentAttempt: before }) },
          },
        });
      } else if (action === 'FAIL' || action === 'RETRY') {
        history.add('StepFailed', time, {
          ...common,
          StepFailedDetails: {
            ...eventError(update.Error),
            RetryDetails: { ...retried, CurrentAttempt: Math.max(1, before) },
          },
        });
      }
      break;
    }
    case 'WAIT': {
      const duration = update.WaitOptions?.WaitSeconds;
      if (action === 'START') {
        history.add('WaitStarted', time, {
          ...common,
          WaitStartedDetails: {
            Duration: duration,
            ScheduledEndTimestamp: operation.WaitDetails?.ScheduledEndTimestamp,
          },
        });
      } else if (action === 'CANCEL') {
        history.add('WaitCancelled', time, { ...common, WaitCancelledDetails: eventError(update.Error) });
      }
      break;
    }
    case 'CONTEXT':
      if (earlier === undefined)
        history.add('ContextStarted', time, { ...common, ContextStartedDetails: {} });
      if (action === 'SUCCEED') {
        history.add('ContextSucceeded', time, {
          ...common,
          ContextSucceededDetails: eventResult(update.Payload),
        });
      } else if (action === 'FAIL') {
        history.add('ContextFailed', time, { ...common, ContextFailedDetails: eventError(update.Error) });
      }
      break;
    case 'CALLBACK':
      history.add('CallbackStarted', time, {
        ...common,
        CallbackStartedDetails: {
          CallbackId: operation.CallbackDetails?.CallbackId,
          ...(update.CallbackOptions?.HeartbeatTimeoutSeconds !== undefined && {
            HeartbeatTimeout: update.CallbackOptions.HeartbeatTimeoutSeconds,
          }),
          ...(update.CallbackOptions?.TimeoutSeconds !== undefined && {
            Timeout: update.CallbackOptions.TimeoutSeconds,
          }),
        },
      });
  }
}

/** What all events of an operation bear. */
export function commonOf({ Id, Name, SubType, ParentId }: Operation) {
  return {
    Id,
    ...(Name !== undefined && { Name }),
    ...(SubType !== undefined && { SubType }),
    ...(ParentId !== undefined && { ParentId }),
  };
}

/** What an update's action makes of its operation. */
const ENDINGS: Record<string, 'SUCCEEDED' | 'FAILED' | 'CANCELLED' | undefined> = {
  SUCCEED: 'SUCCEEDED',
  FAIL: 'FAILED',
  CANCEL: 'CANCELLED',
};
