import { brokenRotation } from '../../../functions/log-cleanup/measurements.ts';
import { EcsExecError } from '../../../functions/shared/ecs-exec/index.ts';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { lookAround, runningTasks } from '../look-around.ts';
import { LOOK_AROUND_ACTIONS, lastPart, placesOf, type UsedPlace } from '../used-services.ts';

/** Whether the logs are rotated in every container: the clean-up only takes away what was. */
export const logRotation: Check = {
  name: 'rotation of logs',
  actions: LOOK_AROUND_ACTIONS,
  run: async (deployment) =>
    ofEach(
      (await placesOf(deployment)).filter(({ exec }) => exec.logs !== undefined),
      ({ label }) => label,
      (place) => look(deployment, place),
    ),
};

async function look(deployment: ExaminedDeployment, { service, exec }: UsedPlace): Promise<Finding[]> {
  const tasks = await runningTasks(deployment, service, exec.container);
  const found = await Promise.all(
    tasks.map(async (task): Promise<Finding[] | undefined> => {
      const id = lastPart(task.taskArn ?? '');
      const shell = `npx wa-upkeep exec ${lastPart(service.clusterArn)} ${service.name} --container ${exec.container} --all --`;
      try {
        const looked = await lookAround(deployment, service, task, exec);
        if ('result' in looked || looked.logs === undefined) return undefined;
        const { folders, measured } = looked.logs;
        if (measured === undefined)
          return [
            {
              status: 'warning',
              saw: `The logs in the container ${exec.container} of the task ${id} could not be measured in a minute.`,
              mend: `${shell} ls -l ${folders.logs.join(' ')}`,
            },
          ];
        const missing = measured.live.files === 0;
        if (missing)
          return [
            {
              status: 'warning',
              saw: `The container ${exec.container} of the task ${id} has no log in ${folders.logs.join(', ')}.`,
              mend: `logs: ['…'] of the role in logCleanup of the configuration, then: npx cdk deploy --all`,
            },
          ];
        // How many old files are kept is what the clean-up sees to.
        return brokenRotation({ ...measured, archived: [] }, folders.rotation).map((saw) => ({
          status: 'warning',
          saw: `In the task ${id}: ${saw}`,
          mend: `aws ecs stop-task --cluster ${service.clusterArn} --task ${id}   # the client rotates its logs by itself; where the new task's grow as well: ${shell} ls -l ${folders.logs.join(' ')}`,
        }));
      } catch (error) {
        if (!(error instanceof EcsExecError) || error.code === 'ACCESS_DENIED') throw error;
        return undefined;
      }
    }),
  );
  const looked = found.filter((findings) => findings !== undefined);
  const wrong = looked.flat();
  if (wrong.length > 0 || looked.length === 0) return wrong;
  return [
    {
      status: 'ok',
      saw: `No log in ${looked.length} containers is far over the size at which it is rotated.`,
    },
  ];
}
