import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Task } from '@aws-sdk/client-ecs';
import { howItEnded, passes, type TaskEnd } from '../../../functions/run-in-new-task/how-it-ended.ts';

const BEGUN = new Date('2027-01-11T00:30:00Z');

interface Case {
  of: string;
  task: Task;
  stopped?: 'late' | 'done';
  outcome: TaskEnd['outcome'];
  says?: RegExp;
}

const ended = (more: Task, own: object = {}, other: object = {}): Task => ({
  startedAt: BEGUN,
  stopCode: 'EssentialContainerExited',
  stoppedReason: 'Essential container in task exited',
  containers: [
    { name: 'app', ...own },
    { name: 'proxy', exitCode: 143, ...other },
  ],
  ...more,
});

const CASES: Case[] = [
  { of: 'an end as it should be', task: ended({}, { exitCode: 0 }), outcome: 'exited' },
  {
    of: 'a command that had ended when its time was over',
    task: ended({}, { exitCode: 0 }),
    stopped: 'late',
    outcome: 'exited',
  },
  {
    of: 'a command that was stopped at its deadline, heeds TERM, and ends with 0 then',
    task: ended({ stopCode: 'UserInitiated' }, { exitCode: 0 }),
    stopped: 'late',
    outcome: 'timed-out',
  },
  {
    of: 'a command whose host was taken away, and which ends with 0 then',
    task: ended({ stopCode: 'SpotInterruption' }, { exitCode: 0 }),
    outcome: 'gone',
    says: /SpotInterruption/,
  },
  {
    of: 'an essential container beside it that was killed for want of memory',
    task: ended(
      {},
      { exitCode: 143 },
      { exitCode: 137, reason: 'OutOfMemoryError: Container killed due to memory usage' },
    ),
    outcome: 'exited',
    says: /essential container proxy beside it ended with exit code 137 \(OutOfMemoryError/,
  },
  {
    of: 'a command that was stopped',
    task: ended({ stopCode: 'UserInitiated' }, { exitCode: 137 }),
    stopped: 'late',
    outcome: 'timed-out',
  },
  {
    of: 'a container by which the task does not stand or fall, whose task was stopped after it',
    task: ended({ stopCode: 'UserInitiated' }, { exitCode: 4 }),
    stopped: 'done',
    outcome: 'exited',
  },
  {
    of: 'a command that killed itself, though the other container was ended by the signal',
    task: ended({}, { exitCode: 137 }),
    outcome: 'exited',
  },
  {
    of: 'a task that somebody stopped',
    task: ended({ stopCode: 'UserInitiated', stoppedReason: 'by hand' }, { exitCode: 143 }),
    outcome: 'gone',
    says: /by hand \(UserInitiated\)/,
  },
  {
    of: 'an end without an exit code',
    task: ended({}, { reason: 'DockerTimeoutError' }),
    outcome: 'lost',
    says: /DockerTimeoutError/,
  },
  {
    of: 'a secret that cannot be read',
    task: {
      stopCode: 'TaskFailedToStart',
      stoppedReason: 'ResourceInitializationError: unable to pull secrets',
      containers: [{ name: 'app' }],
    },
    outcome: 'not-started',
    says: /execution role may read the secrets/,
  },
  {
    of: 'a task that never came to run in its time',
    task: { stopCode: 'UserInitiated', stoppedReason: 'its time is over', containers: [{ name: 'app' }] },
    stopped: 'late',
    outcome: 'not-started',
    says: /had not come to run when its time was over/,
  },
];

describe('from what ECS tells of a stopped task, there is learned', () => {
  for (const { of, task, stopped, outcome, says } of CASES)
    it(of, () => {
      const end = howItEnded(task, 'app', ['app', 'proxy'], stopped);
      assert.equal(end.outcome, outcome, JSON.stringify(end));
      if (says) assert.match(JSON.stringify(end), says);
    });
});

it('what passes is told from what does not by ECS’s own words', () => {
  for (const reason of [
    'RESOURCE:MEMORY',
    'RESOURCE:ENI',
    'AGENT',
    'Capacity is unavailable at this time. Please try again later or in a different availability zone',
    'Timeout waiting for network interface provisioning to complete.',
    "You've reached the limit on the number of tasks you can run concurrently",
    'ThrottlingException: Rate exceeded',
    'InvalidParameterException: No Container Instances were found in your cluster.',
  ])
    assert.ok(passes(reason), reason);
  for (const reason of [
    'ATTRIBUTE',
    'INACTIVE',
    'MISSING',
    'AccessDeniedException: no',
    'CannotPullContainerError: x',
  ])
    assert.ok(!passes(reason), reason);
});
