import assert from 'node:assert/strict';
import { renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { Container } from '../../../rehearsal/aws/containers/container.ts';
import { sessionTarget } from '../../../rehearsal/aws/ecs/task.ts';
import type { World } from '../../../rehearsal/world.ts';
import { configureLogCleanup, coreAppTask, type Misconfiguration } from './misconfiguration.ts';

/** Spoils something in the container of one CoreApp. */
const inOneCoreApp = (change: (container: Container) => () => void) => (world: World) => {
  const found = world.deployments.emea?.containers?.containers.find(({ role }) => role === 'coreapp');
  assert.ok(found);
  return change(found.container);
};

/** What is wrong inside of a container. */
export const CONTAINER_MISCONFIGURATIONS: Misconfiguration[] = [
  {
    what: 'a volume that is missing in one of the containers',
    spoil: inOneCoreApp((container) => {
      const folder = container.path('/usr/local/wamedia');
      renameSync(folder, `${folder}-elsewhere`);
      return () => renameSync(`${folder}-elsewhere`, folder);
    }),
    check: 'volumes in the containers',
    status: 'failed',
    saw: /^\/usr\/local\/wamedia in the container wa-coreapp of the task \w+ is not there\.$/,
    mend: /^aws efs describe-mount-targets --file-system-id fs-0a1b2c3d4e5f60001 /,
  },
  {
    what: 'a volume that does not answer',
    // What looks at it hangs, and time is short.
    spoil: inOneCoreApp((container) => {
      const programs = Object.entries({ df: 'exec tail -f /dev/null', sleep: 'exit 0' }).map(
        ([name, script]) => {
          const path = container.path(`/usr/local/sbin/${name}`);
          writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
          return path;
        },
      );
      return () => programs.forEach((path) => void rmSync(path));
    }),
    check: 'volumes in the containers',
    status: 'failed',
    saw: /^\/usr\/local\/wamedia in the container wa-coreapp of the task \w+ does not answer within ten seconds\.$/,
    mend: /whose security group lets the task in at port 2049/,
  },
  {
    what: 'a log that is not rotated',
    spoil: inOneCoreApp((container) => {
      const log = container.path('/usr/local/waent/logs/wa-service.log');
      const { size } = statSync(log);
      truncateSync(log, 70 * 1024 * 1024);
      return () => truncateSync(log, size);
    }),
    check: 'rotation of logs',
    status: 'warning',
    saw: /^In the task \w+: \/usr\/local\/waent\/logs\/wa-service\.log has 70 MB, though it should be rotated above 15 MB\.$/,
    mend: /^aws ecs stop-task --cluster \S+ --task \w+ /,
  },
  {
    what: 'logs that lie elsewhere',
    spoil: configureLogCleanup(({ roles }) => {
      for (const role of roles) if (role.container === 'wa-coreapp') role.logs = ['/var/log/nowhere'];
    }),
    check: 'rotation of logs',
    status: 'warning',
    saw: /^The container wa-coreapp of the task \w+ has no log in \/var\/log\/nowhere\.$/,
    mend: /^logs: \['…'\] of the role in logCleanup /,
  },
  {
    what: 'sessions that somebody left open',
    spoil: (world) => {
      const task = coreAppTask(world);
      const [container] = task.containers;
      assert.ok(container);
      const open = [1, 2].map(() =>
        world.aws.sessions.openSession({
          container,
          command: 'sleep 600',
          target: sessionTarget(task, container),
        }),
      );
      // It was before doctor began, by AWS's clock, which tells whole seconds.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_100);
      return () => {
        for (const { sessionId } of open) world.aws.sessions.terminateSession(sessionId);
      };
    },
    check: 'sessions of ECS Exec',
    status: 'warning',
    saw: /^The container wa-coreapp of the task \w+ has 2 sessions open, of \S+, and takes no more\.$/,
    mend: /^aws ssm terminate-session --session-id ecs-execute-command-\w+ {3}# its command ends$/,
  },
];
