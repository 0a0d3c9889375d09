import { EcsExecError } from '../../../functions/shared/ecs-exec/index.ts';
import type { Check, Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { type LookedAround, lookAround, runningTasks } from '../look-around.ts';
import { atEachPlace, LOOK_AROUND_ACTIONS, lastPart, type UsedPlace } from '../used-services.ts';

/** From five minutes on AWS refuses signatures; less is told so that it does not come to that. */
const SKEW_SECONDS = 60;

/** Really runs a command in a container of each role: everything else can be right, and this fails all the same. */
export const commands: Check = {
  name: 'a command in a container',
  actions: LOOK_AROUND_ACTIONS,
  run: (deployment) => atEachPlace(deployment, look),
};

async function look(deployment: ExaminedDeployment, { service, exec }: UsedPlace): Promise<Finding[]> {
  const { clusterArn: cluster, name } = service;
  const { container } = exec;
  const [task] = await runningTasks(deployment, service, container);
  if (task?.taskArn === undefined) return [];
  const id = lastPart(task.taskArn);
  const again = `npx wa-upkeep exec ${lastPart(cluster)} ${name} --container ${container} -- date`;
  try {
    const looked = await lookAround(deployment, service, task, exec);
    if ('result' in looked)
      return [
        {
          status: 'failed',
          saw: `A command in the task ${id} did not come to its end: ${looked.result.outcome === 'timed-out' ? 'none in two minutes' : looked.result.reason}.`,
          mend: `${again}   # tries it again`,
        },
      ];
    return [
      looked.lacks.length > 0
        ? {
            status: 'failed',
            saw: `The container ${container} of the task ${id} has no ${looked.lacks.join(', no ')}.`,
            mend: `Does the image have it elsewhere, or is its volume not mounted? script or command in the configuration, then: npx cdk deploy --all`,
          }
        : clockFinding(id, looked),
    ];
  } catch (error) {
    if (!(error instanceof EcsExecError) || error.code === 'ACCESS_DENIED') throw error;
    return [{ status: 'failed', saw: `The task ${id} took no command: ${error.message}`, mend: again }];
  }
}

/** An image may lack even `date`: that a shell said so is enough. */
function clockFinding(id: string, { time, here }: LookedAround): Finding {
  const skew = Math.round(time - here);
  if (Number.isNaN(skew))
    return { status: 'ok', saw: `A command ran in the task ${id}; its clock is not known.` };
  if (Math.abs(skew) > SKEW_SECONDS)
    return {
      status: 'warning',
      saw: `The clock of the task ${id} is ${Math.abs(skew)} seconds ${skew > 0 ? 'ahead of' : 'behind'} this machine's.`,
      mend: 'chronyc tracking   # on the instance, or on this machine: which of the two is wrong?',
    };
  return { status: 'ok', saw: `A command ran in the task ${id}, whose clock agrees with this machine's.` };
}
