import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Task } from '@aws-sdk/client-ecs';
import { howItEnded, passes, type TaskEnd } from '../../../functions/run-in-new-task/how-it-ended.ts';

const BEGUN = new Date('2027-01-11T00:30:00Z');

interface Case {
  of: string;
  task: Task;
  stopped?: 'late' | 'done';
  /** The container that was seen to have ended first. */
  first?: string;
  /** @default app and proxy */
  essential?: string[];
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
    of: 'a command that ended with 0 beside an essential container that heeds TERM by ending with 0: not known which was first, and done',
    task: ended({}, { exitCode: 0 }, { exitCode: 0 }),
    outcome: 'exited',
    says: /"exitCode":0.*proxy beside it ended with exit code 0, too: ECS does not tell which of the two was first/,
  },
  {
    of: 'a command that ended with 0 beside an essential container that failed: not known whether it was stopped for that',
    task: ended({}, { exitCode: 0 }, { exitCode: 1 }),
    outcome: 'lost',
    says: /ended with exit code 0\. The essential container proxy beside it ended with exit code 1, too/,
  },
  {
    of: 'the same, where the command was seen to end first',
    task: ended({}, { exitCode: 0 }, { exitCode: 1 }),
    first: 'app',
    outcome: 'exited',
    says: /^\{"outcome":"exited","exitCode":0\}$/,
  },
  {
    of: 'a command that ended with 0 beside an essential container that was killed for want of memory',
    task: ended({}, { exitCode: 0 }, { exitCode: 137, reason: 'OutOfMemoryError: killed' }),
    outcome: 'lost',
  },
  {
    of: 'a command that was stopped, and ended with a code of its own, when the other container was seen to end first',
    task: ended({}, { exitCode: 3 }, { exitCode: 2 }),
    first: 'proxy',
    outcome: 'gone',
    says: /proxy beside it ended with exit code 2; the command was stopped for that, and ended with exit code 3/,
  },
  {
    of: 'a command that failed beside one that failed',
    task: ended({}, { exitCode: 3 }, { exitCode: 2 }),
    outcome: 'exited',
    says: /"exitCode":3.*ended with exit code 2, too/,
  },
  {
    of: 'a command that was killed after the other container was seen to end',
    task: ended({}, { exitCode: 137 }, { exitCode: 143 }),
    first: 'proxy',
    outcome: 'exited',
    says: /It was stopped because the essential container proxy beside it ended with exit code 143/,
  },
  {
    of: 'a command that was killed, not known whether the other container ended before it',
    task: ended({}, { exitCode: 137 }, { exitCode: 0 }),
    outcome: 'exited',
    says: /It was ended by a signal, probably because the essential container proxy/,
  },
  {
    of: 'a command whose container is not essential, and ended with 0, in a task that ended with another one',
    task: ended({}, { exitCode: 0 }, { exitCode: 0 }),
    essential: ['proxy'],
    outcome: 'lost',
  },
  {
    of: 'the same, where the command was seen to end first',
    task: ended({}, { exitCode: 0 }, { exitCode: 0 }),
    essential: ['proxy'],
    first: 'app',
    outcome: 'exited',
  },
  {
    of: 'a command whose container is not essential, and ended with 0, in a task that somebody stopped',
    task: ended({ stopCode: 'UserInitiated', stoppedReason: 'by hand' }, { exitCode: 0 }),
    essential: ['proxy'],
    outcome: 'lost',
    says: /ended with exit code 0, and its task was stopped: by hand/,
  },
  {
    of: 'a command that was stopped at its deadline after the other container had ended',
    task: ended({}, { exitCode: 143 }, { exitCode: 1 }),
    stopped: 'late',
    outcome: 'timed-out',
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
  for (const { of, task, stopped, first, essential = ['app', 'proxy'], outcome, says } of CASES)
    it(of, () => {
      const end = howItEnded(task, 'app', essential, stopped, first);
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
