import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { DescribeTasksCommand, type ECSClient, ListTasksCommand, RunTaskCommand } from '@aws-sdk/client-ecs';
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

/** ECS, whose answers to RunTask are these, one after the other, and which tells at last of the task that has ended. */
function ecsThat(...answers: (object | Error)[]): { ecs: ECSClient; tokens: string[] } {
  const tokens: string[] = [];
  const send = async (command: unknown) => {
    if (command instanceof ListTasksCommand) return { taskArns: [] };
    if (command instanceof RunTaskCommand) {
      tokens.push(command.input.clientToken ?? '');
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer ?? { tasks: [{ taskArn: 'task/1' }] };
    }
    assert.ok(command instanceof DescribeTasksCommand);
    const containers = [{ name: 'app', exitCode: 0 }];
    return { tasks: [{ lastStatus: 'STOPPED', stopCode: 'EssentialContainerExited', containers }] };
  };
  return { ecs: { send } as unknown as ECSClient, tokens };
}

test('where ECS does not say whether it started the task it is asked for the same one, and for another where it started none', async () => {
  const mishap = Object.assign(new Error('Service Unavailable. Please try again later.'), {
    name: 'ServerException',
  });
  const noPlace = { failures: [{ reason: 'RESOURCE:MEMORY' }] };
  const { ecs, tokens } = ecsThat(mishap, mishap, noPlace, mishap);
  const { ended, withoutPlace } = await runTask(ecs, ORDER, context);
  assert.deepEqual([ended.outcome, withoutPlace], ['exited', 4]);
  const [first, second, third, fourth, fifth] = tokens;
  assert.deepEqual([second, third, fifth], [first, first, fourth]);
  assert.notEqual(fourth, first);
});
