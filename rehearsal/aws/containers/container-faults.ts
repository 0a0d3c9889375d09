import { chmodSync, chownSync, symlinkSync, writeFileSync } from 'node:fs';
import { bestIsolation, type Container } from './container.ts';

/** Ways in which a file system has no room: a mount's options, and what fills it. */
const FULL = {
  'no-block-free': ['size=64k', 'head -c 99999 /dev/zero >x'],
  'no-inode-free': ['size=64k,nr_inodes=3', 'touch x y z'],
  'one-block-free': ['size=64k', 'head -c 61440 /dev/zero >x'],
  'not-one-file': ['size=64k,nr_inodes=1', ':'],
} as const;

export type Fullness = keyof typeof FULL;

/** Why this machine has no containers that can mount, or undefined where it has. */
export function mountsUnavailable(): string | undefined {
  return bestIsolation() === 'namespaces'
    ? undefined
    : 'A full disk and a missing program need a mount of their own, and this machine has no containers with one.';
}

/** Why this machine has no other users, or undefined where it has. */
export function usersUnavailable(): string | undefined {
  return process.getuid?.() === 0 && bestIsolation() === 'namespaces'
    ? undefined
    : 'Only root can become another user, and give files to one.';
}

/** Makes a folder of the container a file system of its own, and fills it. */
export async function fill(container: Container, folder: string, how: Fullness): Promise<void> {
  const [options, filling] = FULL[how];
  const said = await container.run(
    `mkdir -p ${folder} && mount -t tmpfs -o ${options} tmpfs ${folder} && echo mounted && cd ${folder} && ${filling} 2>/dev/null; true`,
  );
  if (!said.includes('mounted')) throw new Error(`${folder} of ${container.name} was not filled: ${said}`);
}

/** Takes a program from the container: what is there in its place cannot be executed. */
export async function hide(container: Container, program: string): Promise<void> {
  const said = await container.run(
    `for each in $(command -v ${program}); do mount --bind /dev/null "$each"; done; command -v ${program} || echo hidden`,
  );
  if (!said.includes('hidden')) throw new Error(`${program} is still in ${container.name}: ${said}`);
}

/** Its shell, as the agent starts it, gets so many processes and no more: 1 is itself alone. */
export async function limitProcesses(container: Container, processes: number): Promise<void> {
  // A user who has no other process here.
  const user = 61_000 + processes;
  await container.run('chmod 1777 /dev/shm /tmp');
  const limits = `setpriv --reuid=${user} --clear-groups prlimit --nproc=${processes}`;
  const shell = container.path('/usr/local/bin/sh');
  writeFileSync(shell, `#!/bin/sh\n[ -w /etc ] && exec ${limits} /bin/sh "$@"\nexec /bin/sh "$@"\n`);
  chmodSync(shell, 0o755);
}

/** Some user of the container who is not the agent's. */
const NOBODY = 65_534;

/** Another user has files in all public folders that look like those of a run which ended well, and links to them. */
export function plantFiles(container: Container, runId: string): void {
  const plant = (path: string, content: string) => {
    const planted = container.path(path);
    writeFileSync(planted, content);
    chownSync(planted, NOBODY, NOBODY);
  };
  plant(`/tmp/ecs-exec-${runId}.lock`, 'exit 0      \n1 1 token\n');
  plant(`/tmp/ecs-exec-${runId}.token`, 'all is well\n');
  plant(`/run/ecs-exec-${runId}.lock`, 'exit 0      \n1 1 token\n');
  symlinkSync(`/tmp/ecs-exec-${runId}.lock`, container.path(`/var/tmp/ecs-exec-${runId}.lock`));
}

/** As a full disk leaves one behind: the lock of a run, with nothing in it. */
export function leaveEmptyLock(container: Container, runId: string): void {
  writeFileSync(container.path(`/run/ecs-exec-${runId}.lock`), '');
}
