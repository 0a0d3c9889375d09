import { chmodSync, writeFileSync } from 'node:fs';
import type { Container } from '../aws/containers/container.ts';
import {
  type Fullness,
  fill,
  hide,
  leaveEmptyLock,
  limitProcesses,
  mountsUnavailable,
  plantFiles,
  usersUnavailable,
} from '../aws/containers/container-faults.ts';
import type { Aws } from '../aws/server.ts';
import type { ClientContainer } from '../whatsapp/client-tasks.ts';
import type { PlayedDeployment } from '../world.ts';
import { type Expectation, type Fault, GOOD } from './fault.ts';

const EVERYWHERE = ['/run', '/tmp', '/var/tmp', '/dev/shm'];
const CLEANUP_SCRIPT = '/opt/whatsapp/bin/cleanup.sh';

/** The run is partial, and says of the container what is wrong with it. */
function partial(problem: RegExp): Expectation {
  return {
    outcomes: { 'log-cleanup': ['partial'] },
    alarms: ['emea-log-cleanup-partial'],
    problems: [problem],
  };
}

interface OneContainerFault extends Pick<Fault, 'description' | 'expected' | 'unavailable'> {
  strike(struck: ClientContainer, aws: Aws, all: ClientContainer[]): void | Promise<void>;
}

/** Each in one container, and each in another, so that they can be had together. */
const IN_ONE: Record<string, OneContainerFault> = {
  'agent-stopped': {
    description:
      "ECS Exec's agent does not run in one container, as where its restart policy has started the container anew",
    strike({ container }) {
      container.agentRunning = false;
    },
    expected: partial(/agent is STOPPED.*replace the task/),
  },
  'agent-elsewhere': {
    description: "One task shares its process ids, so that ECS Exec's agent runs in another container of it",
    strike({ task }, _aws, all) {
      const other = all.find(({ role }) => role === 'webapp')?.container;
      if (!other) return;
      task.containers.push(other);
      task.agentIn = other;
    },
    expected: partial(/with pidMode "task" one container has it/),
  },
  'no-shell': {
    description: 'One container has no shell, as distroless images have none',
    strike({ container }) {
      container.lacks.add('sh');
    },
    expected: partial(/has no shell, as distroless images have none/),
  },
  'no-fork': {
    description: 'One container is at its limit of processes',
    strike: ({ container }) => limitProcesses(container, 1),
    unavailable: usersUnavailable,
    expected: partial(/nothing has run/),
  },
  'no-rm': {
    description: "One container has no rm, which the client's own script wants",
    strike: ({ container }) => hide(container, 'rm'),
    unavailable: mountsUnavailable,
    expected: partial(/exit code 12[67]/),
  },
  'run-folder-full': fullRunFolder('no-block-free', 'No room is left'),
  'run-folder-without-inodes': fullRunFolder('no-inode-free', 'No inode is left'),
  'run-folder-nearly-full': fullRunFolder('one-block-free', 'One block is left'),
  'no-room-anywhere': {
    description: 'In one container no folder has room for the files of a run',
    async strike({ container }) {
      for (const folder of EVERYWHERE) await fill(container, folder, 'not-one-file');
    },
    unavailable: mountsUnavailable,
    expected: partial(/in none of the folders.*read-only or full/),
  },
  'files-planted': {
    description: "Another user of one container has written a status and an output under the run's id",
    strike(struck, aws) {
      atFirstCommand(struck, aws, plantFiles);
    },
    unavailable: usersUnavailable,
    expected: GOOD,
  },
  'lock-left-empty': {
    description: "An empty lock under the run's id lies in one container, as a full disk leaves one",
    strike(struck, aws) {
      atFirstCommand(struck, aws, leaveEmptyLock);
    },
    expected: GOOD,
  },
  'terminal-wanted': {
    description: 'The script of one container asks for a password at its terminal, of which it has none',
    strike({ container }) {
      const script = container.path(CLEANUP_SCRIPT);
      writeFileSync(script, '#!/bin/sh\nread -r password </dev/tty || exit 6\n');
      chmodSync(script, 0o755);
    },
    expected: partial(/exit code 6\./),
  },
  'sessions-taken': {
    description: 'Somebody holds both sessions that one container can have',
    strike({ container }, { sessions }) {
      for (const command of ['sleep 300', 'sleep 301']) sessions.openSession({ container, command });
    },
    expected: partial(/Session limit reached/),
  },
  'opening-refused': {
    description: "Session Manager refuses the websockets of one container's sessions",
    strike({ container }, { sessions }) {
      const before = sessions.faults.opening;
      sessions.faults.opening = (opened) =>
        opened === container
          ? 'User is not authorized to perform: ssmmessages:OpenDataChannel'
          : before?.(opened);
    },
    expected: partial(/not authorized to perform: ssmmessages:OpenDataChannel/),
  },
};

function fullRunFolder(how: Fullness, what: string): OneContainerFault {
  return {
    description: `${what} in one container's /run: the run keeps its files elsewhere`,
    strike: ({ container }) => fill(container, '/run', how),
    unavailable: mountsUnavailable,
    expected: GOOD,
  };
}

/** When the run's id is known, and before its command starts. */
function atFirstCommand(
  { task, container }: ClientContainer,
  aws: Aws,
  act: (container: Container, runId: string) => void,
): void {
  let done = false;
  aws.onCall(({ operation, input }) => {
    if (done || operation !== 'ExecuteCommand' || input.task !== task.arn) return undefined;
    done = true;
    const [, runId = ''] = /^ee_i=ecs-exec-(\S+)$/m.exec(String(input.command)) ?? [];
    act(container, runId);
    return undefined;
  });
}

/** What is wrong with containers, or with the gateway to one of them, in the night of the log clean-up. */
export const CONTAINERS_FAULTS: Record<string, Fault> = Object.fromEntries(
  Object.entries(IN_ONE).map(([name, { strike, ...fault }], number): [string, Fault] => [
    name,
    {
      ...fault,
      deployment: 'emea',
      containers: true,
      async strike({ containers }: PlayedDeployment, { aws }) {
        const all = containers?.containers ?? [];
        const coreApps = all.filter(({ role }) => role === 'coreapp');
        const struck = coreApps[number % coreApps.length];
        if (struck) await strike(struck, aws, all);
      },
    },
  ]),
);
