import { chmodSync, writeFileSync } from 'node:fs';
import { AwsError } from '../aws/aws-error.ts';
import type { Container } from '../aws/containers/container.ts';
import type { Aws } from '../aws/server.ts';
import type { LinkFault, LinkMessage } from '../aws/session-manager/options.ts';
import { type ClientFilesOptions, writeClientFiles } from '../whatsapp/client-files.ts';
import type { ClientContainer } from '../whatsapp/client-tasks.ts';
import { type Fault, GOOD } from './fault.ts';

/** What goes wrong of the containers while their logs are cleaned up. */
export const LOG_CLEANUP_FAULTS: Record<string, Fault> = {
  'coreapp-dies': {
    description: 'A CoreApp dies while its logs are cleaned up: named as gone, and no fault of the run',
    deployment: 'emea',
    containers: true,
    strike({ containers }, { aws }) {
      const dying = containers?.containers.find(({ role }) => role === 'coreapp');
      if (!dying) return;
      refill(dying, aws, 'script-hangs');
      aws.onCall(({ operation, input }) => {
        if (operation === 'ExecuteCommand' && input.task === dying.task.arn)
          setTimeout(() => void dying.container.kill(), 1500);
        return undefined;
      });
    },
    expected: GOOD,
  },
  'cleanup-fails': {
    description: "One container's clean-up script fails, the first time and the second",
    deployment: 'latam',
    containers: true,
    strike({ containers }, { aws }) {
      const [first] = containers?.containers ?? [];
      if (first) refill(first, aws, 'script-fails');
    },
    expected: { outcomes: { 'log-cleanup': ['partial'] }, alarms: ['latam-log-cleanup-partial'] },
  },
  'log-bucket-refuses': {
    description: 'S3 refuses the rotated logs that are to be kept: they are not deleted',
    deployment: 'emea',
    containers: true,
    strike({ name }, { aws }) {
      refuseUploads(aws, name);
    },
    expected: {
      outcomes: { 'log-cleanup': ['partial'] },
      alarms: ['emea-log-cleanup-partial'],
      problems: [/rotated logs .* could not be kept: S3 refused it \(403\).* They were not deleted/],
    },
  },
  'logs-lost-on-full-disk': {
    description:
      'Rotated logs can not be kept, and the disk is nearly full: they are deleted, and it is said',
    deployment: 'emea',
    containers: true,
    strike({ name, containers }, { aws }) {
      refuseUploads(aws, name);
      // Says that 100 of 1,000 blocks are left.
      for (const { container } of containers?.containers ?? [])
        replaceProgram(
          container,
          'stat',
          '[ "$1" = -f ] || exec /usr/bin/stat "$@"\necho 4096 1000 100 100 0 0 nearly-full',
        );
    },
    expected: {
      outcomes: { 'log-cleanup': ['partial'] },
      alarms: ['emea-log-cleanup-nearly-full', 'emea-log-cleanup-partial'],
      severalMessages: 'Two causes: S3 refuses the logs, and the disk is nearly full.',
      problems: [/The disk was nearly full, so the clean-up deleted \d+ of them: they are lost/],
      losesLogs: true,
    },
  },
  'log-upload-breaks': {
    description:
      'The way from a container to S3 breaks before its last rotated logs: they come through the channel',
    deployment: 'emea',
    containers: true,
    strike({ containers }) {
      const master = containers?.containers.find(({ role }) => role === 'master');
      // So many lines of what curl is told are 70 files.
      if (master) replaceProgram(master.container, 'curl', 'head -n 769 | /usr/bin/curl "$@"');
    },
    expected: GOOD,
  },
  'websocket-cut': {
    description: 'The websocket of a session breaks in the middle of its output, three times',
    deployment: 'emea',
    containers: true,
    strike(_target, { aws }) {
      let cuts = 0;
      addLinkFault(aws, ({ to, index }) => (to === 'client' && index === 3 && cuts++ < 3 ? 'cut' : 'pass'));
    },
    expected: GOOD,
  },
  'session-messages-lost': {
    description: "Of the sessions' messages every tenth is lost, and every seventh comes twice",
    deployment: 'emea',
    containers: true,
    strike(_target, { aws }) {
      addLinkFault(aws, ({ index }) => (index % 10 === 9 ? 'lose' : index % 7 === 6 ? 'double' : 'pass'));
    },
    expected: GOOD,
  },
  'agent-connects-late': {
    description: "ECS Exec's agent of one task is not connected at first, as after the task's start",
    deployment: 'emea',
    containers: true,
    strike({ containers }, { aws }) {
      const late = containers?.containers.at(-1)?.task;
      if (!late) return;
      late.connected = false;
      let calls = 0;
      aws.onCall(({ operation, input }) => {
        if (operation === 'ExecuteCommand' && input.task === late.arn) late.connected = ++calls > 3;
        return undefined;
      });
    },
    expected: GOOD,
  },
  'instance-unreachable': {
    description: 'The SSM agent of one container instance does not answer',
    deployment: 'latam',
    containers: true,
    strike({ containers }, { aws }) {
      const instance = aws.ssm.instances.get(containers?.hosts[0]?.instanceId ?? '');
      if (instance) instance.fault = 'unreachable';
    },
    expected: { outcomes: { 'log-cleanup': ['partial'] }, alarms: ['latam-log-cleanup-partial'] },
  },
};

/** The rotated logs of a deployment, in whose name all of them lie. */
function refuseUploads(aws: Aws, deployment: string): void {
  aws.onCall(({ operation, input }) =>
    operation === 'PutObject' && String(input.Key).startsWith(`${deployment}/`)
      ? new AwsError('AccessDenied', 'Access Denied')
      : undefined,
  );
}

/** A script in place of a program of the container. */
function replaceProgram(container: Container, name: string, script: string): void {
  const path = container.path(`/usr/local/bin/${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** Beside those that are there already. */
function addLinkFault({ sessions }: Aws, fault: (message: LinkMessage) => LinkFault): void {
  const before = sessions.faults.link;
  sessions.faults.link = (message) => {
    const judged = fault(message);
    return judged === 'pass' ? (before?.(message) ?? 'pass') : judged;
  };
}

function refill(
  { role, container }: ClientContainer,
  { clock }: Aws,
  fault: ClientFilesOptions['fault'],
): void {
  writeClientFiles(container, { role, seed: container.name, now: clock.now(), ...(fault && { fault }) });
}
