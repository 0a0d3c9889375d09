import { logger } from '../run/publish-report.ts';
import { CONTAINER_ENDED, type ContainerEnd } from './container-ended.ts';
import { type FoundContainer, taskIdOf } from './discover-containers.ts';

/** Tells in the log of a container in which a try of the command has ended, for whoever follows the run. */
export function tellEnd(
  { role, taskArn, container }: FoundContainer,
  { ended, seconds }: { ended: { outcome: string; exitCode?: number }; seconds: number },
  attempt: number,
): void {
  const end: ContainerEnd = {
    ...{ role, task: taskIdOf(taskArn), container, outcome: ended.outcome },
    ...(ended.exitCode !== undefined && { exitCode: ended.exitCode }),
    ...{ seconds, attempt },
  };
  logger.info(CONTAINER_ENDED, { ...end });
}
