import type { Check, Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { type LookedMount, lookIntoEach, mountsOf } from '../look-around.ts';
import {
  atEachPlace,
  definitionOf,
  LOOK_AROUND_ACTIONS,
  LOOK_AT_DEFINITIONS,
  type UsedPlace,
} from '../used-services.ts';

/** Whether every volume answers in every container: one that hangs in one task is seen nowhere else. */
export const mounts: Check = {
  name: 'volumes in the containers',
  actions: [...LOOK_AROUND_ACTIONS, ...LOOK_AT_DEFINITIONS],
  run: (deployment) => atEachPlace(deployment, look),
};

async function look(deployment: ExaminedDeployment, place: UsedPlace): Promise<Finding[]> {
  const { container } = place.exec;
  const paths = mountsOf(await definitionOf(deployment, place.service), container).map(({ path }) => path);
  if (paths.length === 0) return [];
  return lookIntoEach(
    deployment,
    place,
    ({ mounts }, task) => mounts.flatMap((mount) => findingOf(mount, container, task)),
    (containers) => `${paths.join(', ')} answer in ${containers} containers.`,
  );
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
