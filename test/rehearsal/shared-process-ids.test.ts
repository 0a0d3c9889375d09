import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stack } from 'aws-cdk-lib';
import { ContainerCommandJob, Upkeep } from '../../lib/index.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { ACCOUNT, deploy, HOUR, REGION, START } from './aws/deploy.ts';
import { PlayedContainer } from './played-container.ts';

function define(stack: Stack): void {
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '13:00', to: '17:00' },
  });
  new ContainerCommandJob(stack, 'Job', {
    upkeep,
    job: 'prune',
    cluster: 'shop',
    roles: {
      web: { services: ['web'], container: 'app' },
      proxy: { services: ['web'], container: 'proxy' },
    },
    command: ['true'],
    schedule: { at: '13:30' },
  });
}

test('two roles in tasks with pidMode "task": one session at once in each, one call for the container without an agent, which is told', () =>
  deploy(
    define,
    async ({ aws, clock }) => {
      const sessions = new Map<string, { now: number; most: number }>();
      const tasks = Array.from({ length: 4 }, (_, number) => {
        const ofTask = { now: 0, most: 0 };
        const containers = ['app', 'proxy'].map(
          (name) =>
            new PlayedContainer(
              name,
              () => ({ exitCode: 0, output: '' }),
              (change) => {
                ofTask.now += change;
                ofTask.most = Math.max(ofTask.most, ofTask.now);
              },
            ),
        );
        const place = { account: ACCOUNT, region: REGION, cluster: 'shop', service: 'web' };
        const task = aws.ecs.addTask({ ...place, containers });
        // Of the first two AWS has its agent in one container only, as it says; of the others in both.
        if (number < 2) task.agentIn = containers[0];
        sessions.set(task.id, ofTask);
        return task;
      });
      const asked: string[] = [];
      aws.onCall(({ operation, input }) => {
        if (operation === 'ExecuteCommand') asked.push(`${input.task} ${input.container}`);
        return undefined;
      });
      await clock.runUntil(START + 4 * HOUR);
      const [report] = reportsOf(aws);
      assert.equal(report?.outcome, 'partial', JSON.stringify(report));
      assert.deepEqual([report.figures.containersSucceeded, report.figures.containersFailed], [6, 2]);
      assert.equal(asked.length, 8);
      assert.equal(new Set(asked).size, 8, 'one call for each container');
      for (const { what, where } of report.problems) {
        assert.match(
          what,
          /runs in container app of the task only.*with pidMode "task" one container has it/,
        );
        assert.doesNotMatch(what, /replace the task/);
        assert.match(where, /container proxy$/);
      }
      assert.equal(report.problems.length, 2);
      assert.deepEqual(
        [...sessions.values()].map(({ most }) => most),
        [1, 1, 1, 1],
      );
      await Promise.all(tasks.map((task) => task.stop('over')));
    },
    { sessions: { timing: { readingDelay: 50 } } },
  ));
