import { EcsExecError } from '../../../functions/shared/ecs-exec/index.ts';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { type LookedMount, lookAround, mountsOf, runningTasks } from '../look-around.ts';
import {
  definitionOf,
  LOOK_AROUND_ACTIONS,
  LOOK_AT_DEFINITIONS,
  lastPart,
  placesOf,
  type UsedPlace,
} from '../used-services.ts';

/** Whether every volume answers in every container: one that hangs in one task is seen nowhere else. */
export const mounts: Check = {
  name: 'volumes in the containers',
  actions: [...LOOK_AROUND_ACTIONS, ...LOOK_AT_DEFINITIONS],
  run: async (deployment) =>
    ofEach(
      await placesOf(deployment),
      ({ label }) => label,
      (place) => look(deployment, place),
    ),
};

async function look(deployment: ExaminedDeployment, { service, exec }: UsedPlace): Promise<Finding[]> {
  const paths = mountsOf(await definitionOf(deployment, service), exec.container).map(({ path }) => path);
  if (paths.length === 0) return [];
  const tasks = await runningTasks(deployment, service, exec.container);
  const found = await Promise.all(
    tasks.map(async (task): Promise<Finding[] | undefined> => {
      try {
        const looked = await lookAround(deployment, service, task, exec);
        // That it did not come to its end is told by the check of commands.
        if ('result' in looked) return undefined;
        return looked.mounts.flatMap((mount) =>
          findingOf(mount, exec.container, lastPart(task.taskArn ?? '')),
        );
      } catch (error) {
        if (!(error instanceof EcsExecError) || error.code === 'ACCESS_DENIED') throw error;
        return undefined;
      }
    }),
  );
  const looked = found.filter((findings) => findings !== undefined);
  const wrong = looked.flat();
  if (wrong.length > 0 || looked.length === 0) return wrong;
  return [{ status: 'ok', saw: `${paths.join(', ')} answer in ${looked.length} containers.` }];
}

const WORDS: Record<Exclude<LookedMount['answer'], 'well'>, string> = {
  gone: 'is not there',
  silent: 'does not answer within ten seconds',
  refused: 'does not answer',
  'read-only': 'cannot be written to',
};

function findingOf({ path, volume, answer }: LookedMount, container: string, task: string): Finding[] {
  if (answer === 'well') return [];
  const fileSystem = volume?.efsVolumeConfiguration?.fileSystemId;
  const onHost = volume?.host?.sourcePath;
  return [
    {
      status: 'failed',
      saw: `${path} in the container ${container} of the task ${task} ${WORDS[answer]}.`,
      mend: fileSystem
        ? answer === 'read-only'
          ? `aws efs describe-file-system-policy --file-system-id ${fileSystem}   # it and the task's role must allow elasticfilesystem:ClientWrite`
          : `aws efs describe-mount-targets --file-system-id ${fileSystem}   # one in the task's zone, whose security group lets the task in at port 2049; then: aws ecs stop-task`
        : onHost
          ? `df -P ${onHost}   # on the task's instance: is it mounted there (mount -a)?`
          : `In the task definition: a volume for the mount point ${path} of ${container}`,
    },
  ];
}
