import { brokenRotation } from '../../../functions/log-cleanup/measurements.ts';
import type { Check, Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { lookIntoEach } from '../look-around.ts';
import { atEachPlace, LOOK_AROUND_ACTIONS, lastPart, type UsedPlace } from '../used-services.ts';

/** Whether the logs are rotated in every container: the clean-up only takes away what was. */
export const logRotation: Check = {
  name: 'rotation of logs',
  actions: LOOK_AROUND_ACTIONS,
  run: (deployment) => atEachPlace(deployment, look, ({ exec }) => exec.logs !== undefined),
};

async function look(deployment: ExaminedDeployment, place: UsedPlace): Promise<Finding[]> {
  const { service, exec } = place;
  const shell = `npx wa-upkeep exec ${lastPart(service.clusterArn)} ${service.name} --container ${exec.container} --all --`;
  return lookIntoEach(
    deployment,
    place,
    ({ logs }, task) => {
      if (logs === undefined) return undefined;
      const { folders, measured } = logs;
      if (measured === undefined)
        return [
          {
            status: 'warning',
            saw: `The logs in the container ${exec.container} of the task ${task} could not be measured in a minute.`,
            mend: `${shell} ls -l ${folders.logs.join(' ')}`,
          },
        ];
      if (measured.live.files === 0)
        return [
          {
            status: 'warning',
            saw: `The container ${exec.container} of the task ${task} has no log in ${folders.logs.join(', ')}.`,
            mend: `logs: ['…'] of the role in logCleanup of the configuration, then: npx cdk deploy --all`,
          },
        ];
      // How many old files are kept is what the clean-up sees to.
      return brokenRotation({ ...measured, archived: [] }, folders.rotation).map((saw) => ({
        status: 'warning',
        saw: `In the task ${task}: ${saw}`,
        mend: `aws ecs stop-task --cluster ${service.clusterArn} --task ${task}   # the client rotates its logs by itself; where the new task's grow as well: ${shell} ls -l ${folders.logs.join(' ')}`,
      }));
    },
    (containers) => `No log in ${containers} containers is far over the size at which it is rotated.`,
  );
}
