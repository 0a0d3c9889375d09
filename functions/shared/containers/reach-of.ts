import type { Reach } from './reach.ts';
import type { ContainersSettings } from './settings.ts';

/** The way into containers that a job's settings name; its clients are loaded when it is used (see {@link reachesToLeaveOut}). */
export function reachOf({ reach, clusterArn }: ContainersSettings): Reach {
  let loaded: Promise<Reach> | undefined;
  const load = async () =>
    reach === 'ecs-exec'
      ? (await import('./ecs-exec-reach.ts')).ecsExecReach(clusterArn)
      : (await import('./run-command-reach.ts')).runCommandReach();
  const way = () => {
    loaded ??= load();
    return loaded;
  };
  return {
    start: async (...order) => (await way()).start(...order),
    follow: async (...order) => (await way()).follow(...order),
    ...(reach === 'ecs-exec' && {
      readFile: async (...file) => {
        const { readFile } = await way();
        if (!readFile) throw new Error('No file can be read this way.');
        return readFile(...file);
      },
    }),
  };
}

/** The imports that a bundle does not need for a way into containers, as the sources write them and as they do when compiled. */
export function reachesToLeaveOut(reach: ContainersSettings['reach']): string[] {
  const other = reach === 'ecs-exec' ? './run-command-reach' : './ecs-exec-reach';
  return [`${other}.ts`, `${other}.js`];
}
