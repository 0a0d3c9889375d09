import { setTimeout as delay } from 'node:timers/promises';
import { LambdaClient, StopDurableExecutionCommand } from '@aws-sdk/client-lambda';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import { type Days, JOB, onOperationEnd, soon, type Watched } from './rotation-days.ts';

/** The kinds of calls that a rotation makes. */
export const CALLS = [
  'GetSecretValue',
  'DescribeSecret',
  'RotateSecret',
  'PutSecretValue',
  'GetParameter',
  'PutParameter',
  'DescribeServices',
  'DescribeTaskDefinition',
  'ListTasks',
  'DescribeTasks',
  'StopTask',
  'UpdateService',
  'PutEvents',
];

/** AWS's services that a run works with; Lambda only keeps its record. */
const WORKED_WITH = ['ecs', 'secretsmanager', 'ssm'];
/** After so long without a call a function that is refused every one has given up. Real milliseconds. */
const QUIET = 40;

/** A run gives up at one more in a row without getting further. */
const KILLS_IN_A_ROW = 2;

/**
 * Kills the function's processes once at each point, or not at all where the run would give up, so that another run may be needed: after an operation, when its end is on record; in the middle of a kind of
 * call, when AWS has heard it and the answer is on its way.
 */
export function killAt(
  days: Watched,
  where: 'after every operation' | 'in the middle of any kind of call',
  points: readonly string[],
  killedAt = new Set<string>(),
): { killedAt: Set<string>; stopKilling: () => void } {
  const { aws, job = JOB } = days;
  let inARow = 0;
  const kill = (point: string) => {
    if (killedAt.has(point) || !points.includes(point) || inARow === KILLS_IN_A_ROW) return;
    killedAt.add(point);
    inARow += 1;
    soon(days, () => {
      aws.killFunction(job);
    });
  };
  const isAtEnds = where === 'after every operation';
  const stopAtEnds = onOperationEnd(days, (name) => {
    inARow = 0;
    // Where the kill before it came late, another operation finds out what became of the interrupted one.
    if (isAtEnds) kill(name.replace(/ after the interruption$/, ''));
  });
  const stopAtCalls = aws.onCall(({ caller, service, operation }) => {
    if (!isAtEnds && caller.function?.name === job && service !== 'lambda') kill(operation);
    return undefined;
  });
  const stopKilling = () => {
    stopAtEnds();
    stopAtCalls();
  };
  return { killedAt, stopKilling };
}

/**
 * Of operations that differ in the service alone that they concern, and whose next ones do no more either, the first: what one
 * leaves behind, and what comes upon that, is the same for each service.
 */
export function oneOfEachKind(operations: readonly string[], services: readonly string[]): string[] {
  const anyService = new RegExp(`\\b(?:${services.join('|')})\\b`);
  const kinds = operations.map((name) => name.replace(anyService, 'a service'));
  const pairs = kinds.map((kind, index) => `${kind}, ${kinds[index + 1] ?? ''}`);
  return operations.filter((_, index) => pairs.indexOf(pairs[index] ?? '') === index);
}

/** What breaks a run off from the end of an operation on. */
export interface BrokenOff {
  /** Whether the operation came to its end, and all that was begun then is over. */
  happened(): boolean;
  /** Takes away what breaks it off. */
  mend(): void;
}

/** Stops the run right after an operation; it does nothing any more. */
export function stopAfter(days: Watched, operation: string): BrokenOff {
  const { aws, client, logins, job = JOB } = days;
  let state: 'before' | 'stopping' | 'stopped' = 'before';
  let lastCall = 0;
  const unhook = aws.onCall(({ caller }) => {
    if (state !== 'stopping' || caller.function?.name !== job) return undefined;
    lastCall = Date.now();
    return new AwsError('AccessDeniedException', 'The run is stopped.');
  });
  const stopListening = onOperationEnd(days, (name) => {
    if (state !== 'before' || name !== operation) return;
    state = 'stopping';
    soon(days, async () => {
      const run = aws.lambda.durable.list().find(({ status }) => status === 'RUNNING');
      const lambda = new LambdaClient(client());
      await lambda.send(new StopDurableExecutionCommand({ DurableExecutionArn: run?.arn }));
      lambda.destroy();
      await logins?.round();
      while (Date.now() - lastCall < QUIET) await delay(QUIET / 4);
      state = 'stopped';
      mend();
    });
  });
  const mend = () => {
    unhook();
    stopListening();
  };
  return { happened: () => state === 'stopped', mend };
}

/** From the end of an operation on AWS refuses all that the function asks for. */
export function refuseAfter(days: Days, operation: string): BrokenOff {
  let refusing = false;
  const unhook = days.aws.onCall(({ caller, service }) =>
    refusing && caller.function?.name === JOB && WORKED_WITH.includes(service)
      ? new AwsError('AccessDeniedException', 'The test refuses it.')
      : undefined,
  );
  const stopListening = onOperationEnd(days, (name) => {
    if (refusing || name !== operation) return;
    refusing = true;
    soon(days, () => days.logins.round());
  });
  return {
    happened: () => refusing,
    mend: () => {
      unhook();
      stopListening();
    },
  };
}

/** From the end of an operation on the functions reach no database. */
export function cutAfter(days: Days, operation: string): BrokenOff {
  const { wire } = days;
  let isCut = false;
  const stopListening = onOperationEnd(days, (name) => {
    if (isCut || name !== operation) return;
    isCut = true;
    wire.refuses = () => true;
  });
  return {
    happened: () => isCut,
    mend: () => {
      stopListening();
      wire.refuses = () => false;
    },
  };
}
