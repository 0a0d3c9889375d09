import { randomUUID } from 'node:crypto';
import { EcsExecError, executeCommand, outputText } from '../../../functions/shared/ecs-exec/index.ts';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { execServices, LOOK_AT_TASKS, lastPart, tasksOf, type UsedService } from '../used-services.ts';

/** A session that opens at all does so in seconds; a KMS handshake has 15. */
const PATIENCE_MS = 60_000;
/** From five minutes on AWS refuses signatures; less is told so that it does not come to that. */
const SKEW_SECONDS = 60;

/** Says the time, then the paths that are not there, one a line; changes nothing. */
const LOOK_AROUND = `date -u +%s; for path; do [ -e "$path" ] || echo "$path"; done`;

/** Really runs a command in a container of each role: everything else can be right, and this fails all the same. */
export const commands: Check = {
  name: 'a command in a container',
  actions: [
    ...LOOK_AT_TASKS,
    'ecs:ExecuteCommand',
    'ssm:ResumeSession',
    'ssm:TerminateSession',
    'ssmmessages:OpenDataChannel',
  ],
  async run(deployment) {
    const seen = new Set<string>();
    const containers = (await execServices(deployment)).flatMap((service) =>
      service.exec
        .map(({ container, paths }) => ({
          service,
          container,
          paths,
          label: `${service.label}/${container}`,
        }))
        .filter(({ label }) => !seen.has(label) && seen.add(label)),
    );
    return ofEach(
      containers,
      ({ label }) => label,
      (each) => look(deployment, each),
    );
  },
};

async function look(
  deployment: ExaminedDeployment,
  { service, container, paths }: { service: UsedService; container: string; paths: string[] },
): Promise<Finding[]> {
  const { clusterArn: cluster, name } = service;
  const tasks = await tasksOf(deployment, service);
  const task = tasks.find(
    ({ lastStatus, containers = [] }) =>
      lastStatus === 'RUNNING' && containers.some((each) => each.name === container),
  );
  if (task?.taskArn === undefined) return [];
  const id = lastPart(task.taskArn);
  const again = `npx wa-upkeep exec ${lastPart(cluster)} ${name} --container ${container} -- date`;
  try {
    const startedAt = Date.now();
    const result = await executeCommand({
      clients: deployment.clients.exec,
      ...{ cluster, task: task.taskArn, container },
      runId: `doctor-${randomUUID()}`,
      command: ['sh', '-c', LOOK_AROUND, 'doctor', ...paths],
      deadline: new Date(startedAt + PATIENCE_MS),
    });
    if (result.outcome !== 'exited')
      return [
        {
          status: 'failed',
          saw: `A command in the task ${id} did not come to its end: ${result.outcome === 'timed-out' ? 'none in a minute' : result.reason}.`,
          mend: `${again}   # tries it again`,
        },
      ];
    const [time = '', ...missing] = outputText(result.output).trim().split(/\s*\n/);
    return [
      missing.length > 0
        ? {
            status: 'failed',
            saw: `The container ${container} of the task ${id} has no ${missing.join(', no ')}.`,
            mend: `Does the image have it elsewhere, or is its volume not mounted? script or command in the configuration, then: npx cdk deploy --all`,
          }
        : clockFinding(id, Number(time) - (startedAt + Date.now()) / 2000),
    ];
  } catch (error) {
    if (!(error instanceof EcsExecError) || error.code === 'ACCESS_DENIED') throw error;
    return [{ status: 'failed', saw: `The task ${id} took no command: ${error.message}`, mend: again }];
  }
}

/** An image may lack even `date`: that a shell said so is enough. */
function clockFinding(id: string, seconds: number): Finding {
  const skew = Math.round(seconds);
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
