import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import {
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  RunTaskCommand,
  StopTaskCommand,
  type Task,
} from '@aws-sdk/client-ecs';
import { runTask, type TaskOrder } from '../../../functions/run-in-new-task/run-task.ts';

const ORDER: TaskOrder = {
  clusterArn: 'arn:aws:ecs:eu-west-1:111111111111:cluster/shop',
  launch: { request: { taskDefinition: 'orders:1' }, essential: ['app'] },
  container: 'app',
  request: { startedBy: 'shop/migrate' },
  id: 'shop-migrate-20270111T003000Z',
  timeoutSeconds: 600,
  endBy: Date.now() + 3_600_000,
};

/** Looks one after the other, without the pauses between them. */
const context = {
  async waitForCondition<State>(
    _name: string,
    look: (before: State) => Promise<State>,
    {
      initialState,
      waitStrategy,
    }: { initialState: State; waitStrategy: (state: State) => { shouldContinue: boolean } },
  ): Promise<State> {
    let state = initialState;
    do state = await look(state);
    while (waitStrategy(state).shouldContinue);
    return state;
  },
} as unknown as DurableContext;

const ENDED: Task = {
  taskArn: 'task/1',
  startedBy: 'shop/migrate',
  lastStatus: 'STOPPED',
  stopCode: 'EssentialContainerExited',
  containers: [{ name: 'app', exitCode: 0 }],
};
/** As the SDK has it where nobody answers. */
const NO_ANSWER = Object.assign(new Error('read ECONNRESET'), {
  name: 'TimeoutError',
  $metadata: { attempts: 10 },
});
const MISHAP = Object.assign(new Error('Service Unavailable. Please try again later.'), {
  name: 'ServerException',
});

/**
 * ECS, whose answers to RunTask are these, one after the other, and which shows the task like this, then so for good; an error in place
 * of it is the answer to DescribeTasks.
 */
function ecsThat({
  answers = [],
  shows = [],
  lists = () => [],
}: {
  answers?: (object | Error)[];
  shows?: (Task | Error)[];
  lists?: () => string[];
}): { ecs: ECSClient; tokens: string[]; stopped: string[] } {
  const tokens: string[] = [];
  const stopped: string[] = [];
  const send = async (command: unknown) => {
    if (command instanceof ListTasksCommand) return { taskArns: command.input.startedBy ? lists() : [] };
    if (command instanceof RunTaskCommand) {
      tokens.push(command.input.clientToken ?? '');
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer ?? { tasks: [{ taskArn: 'task/1' }] };
    }
    if (command instanceof StopTaskCommand) return void stopped.push(command.input.task ?? '');
    assert.ok(command instanceof DescribeTasksCommand);
    const shown = shows.length > 1 ? shows.shift() : shows[0];
    if (shown instanceof Error) throw shown;
    return { tasks: [{ ...ENDED, ...shown }] };
  };
  const ecs: ECSClient = Object.assign(Object.create(ECSClient.prototype), { send });
  return { ecs, tokens, stopped };
}

test('where ECS does not say whether it started the task it is asked for the same one, and for another where it started none', async () => {
  const noPlace = { failures: [{ reason: 'RESOURCE:MEMORY' }] };
  const { ecs, tokens } = ecsThat({ answers: [MISHAP, NO_ANSWER, noPlace, MISHAP] });
  const { ended, withoutPlace } = await runTask(ecs, ORDER, context);
  assert.deepEqual([ended.outcome, withoutPlace], ['exited', 4]);
  const [first, second, third, fourth, fifth] = tokens;
  assert.deepEqual([second, third, fifth], [first, first, fourth]);
  assert.notEqual(fourth, first);
});

test('where ECS does not say so, a task that it did start is found and followed, and one that is not to be seen when the window ends is not called one that found no place', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: ORDER.endBy - 1000 });
  const untilTheEnd = () => {
    t.mock.timers.setTime(ORDER.endBy - 1000);
    const answers = Array.from({ length: 3 }, () => MISHAP);
    return new Proxy(answers, {
      get: (all, key) => {
        if (key === 'shift') t.mock.timers.setTime(Date.now() + 400);
        return Reflect.get(all, key);
      },
    });
  };
  const none = await runTask(ecsThat({ answers: untilTheEnd() }).ecs, ORDER, context);
  assert.deepEqual(
    [none.ended.outcome, 'detail' in none.ended && none.ended.detail],
    ['lost', `ECS did not say until the window ended whether it had started the task: ${MISHAP.message}`],
  );
  let listed = 0;
  const { ecs, stopped } = ecsThat({
    answers: untilTheEnd(),
    // Not before it is started.
    lists: () => (listed++ > 0 ? ['task/1'] : []),
    shows: [{ lastStatus: 'RUNNING' }, { lastStatus: 'RUNNING' }, ENDED],
  });
  const one = await runTask(ecs, ORDER, context);
  assert.deepEqual([one.ended.outcome, one.taskArn, stopped], ['exited', 'task/1', []]);
});

test('a task goes on to be followed, and is stopped in time, where ECS cannot be asked for a while; after the window it is given up', async (t) => {
  const running: Task = { lastStatus: 'RUNNING', startedAt: new Date() };
  const throttled = Object.assign(new Error('Rate exceeded'), {
    name: 'ThrottlingException',
    $metadata: { httpStatusCode: 400 },
  });
  const seen = await runTask(
    ecsThat({ shows: [running, NO_ANSWER, throttled, MISHAP, ENDED] }).ecs,
    ORDER,
    context,
  );
  assert.equal(seen.ended.outcome, 'exited');
  const denied = Object.assign(new Error('You are not authorized'), {
    name: 'AccessDeniedException',
    $metadata: { httpStatusCode: 400 },
  });
  await assert.rejects(runTask(ecsThat({ shows: [denied] }).ecs, ORDER, context), denied);
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  // Each look takes a minute.
  const slowly = (shows: (Task | Error)[]) =>
    new Proxy(shows, {
      get: (all, key) => {
        if (key === 'length') t.mock.timers.setTime(Date.now() + 60_000);
        return Reflect.get(all, key);
      },
    });
  const { ended, taskArn } = await runTask(
    ecsThat({ shows: slowly([running, NO_ANSWER]) }).ecs,
    ORDER,
    context,
  );
  assert.deepEqual(
    [ended.outcome, 'detail' in ended && ended.detail, taskArn],
    ['lost', 'ECS could not be asked until the window ended: TimeoutError: read ECONNRESET', 'task/1'],
  );
  assert.ok(Date.now() > ORDER.endBy);
});

test('an essential container beside the command that is seen to end first makes it one that was stopped, though it ends with 0', async () => {
  const launch = { ...ORDER.launch, essential: ['app', 'proxy'] };
  const looks = (app: string, proxy: string): Task => ({
    lastStatus: 'DEACTIVATING',
    desiredStatus: 'STOPPED',
    containers: [
      { name: 'app', lastStatus: app },
      { name: 'proxy', lastStatus: proxy },
    ],
  });
  const ended = {
    containers: [
      { name: 'app', exitCode: 0 },
      { name: 'proxy', exitCode: 0 },
    ],
  };
  const by = async (...shows: Task[]) =>
    (await runTask(ecsThat({ shows }).ecs, { ...ORDER, launch }, context)).ended;
  assert.deepEqual(await by(looks('RUNNING', 'STOPPED'), looks('STOPPED', 'STOPPED'), ended), {
    outcome: 'gone',
    detail:
      'The essential container proxy beside it ended with exit code 0; the command was stopped for that, and ended with exit code 0.',
    next: 'See in the log of proxy what ended it, or let it not be essential in the task definition.',
  });
  assert.deepEqual(await by(looks('STOPPED', 'RUNNING'), looks('STOPPED', 'STOPPED'), ended), {
    outcome: 'exited',
    exitCode: 0,
  });
});
