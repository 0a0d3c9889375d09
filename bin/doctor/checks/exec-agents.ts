import { DescribeContainerInstancesCommand, type Task } from '@aws-sdk/client-ecs';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { execServices, LOOK_AT_TASKS, lastPart, tasksOf, type UsedService } from '../used-services.ts';

/** The oldest that have ECS Exec (Developer Guide of ECS, "Using ECS Exec", prerequisites). */
const PLATFORM = [1, 4, 0] as const;
const AGENT = [1, 50, 2] as const;

/** Whether each task takes commands: begun with ECS Exec, its agents running, and its platform new enough. */
export const execAgents: Check = {
  name: 'ECS Exec agents',
  actions: [...LOOK_AT_TASKS, 'ecs:DescribeContainerInstances'],
  run: async (deployment) =>
    ofEach(
      await execServices(deployment),
      ({ label }) => label,
      (service) => look(deployment, service),
    ),
};

async function look(deployment: ExaminedDeployment, service: UsedService): Promise<Finding[]> {
  const tasks = (await tasksOf(deployment, service)).filter(({ lastStatus }) => lastStatus === 'RUNNING');
  if (tasks.length === 0) return [];
  const findings = [
    ...tasks.flatMap((task) => taskFindings(service, task)),
    ...(await hostFindings(deployment, service, tasks)),
  ];
  if (findings.length > 0) return findings;
  return [{ status: 'ok', saw: `The agents of ${tasks.length} tasks run.` }];
}

function taskFindings({ clusterArn, name, exec }: UsedService, task: Task): Finding[] {
  const id = lastPart(task.taskArn ?? '');
  const again = `aws ecs update-service --cluster ${clusterArn} --service ${name} --force-new-deployment   # replaces its tasks`;
  const failed = (saw: string, mend = again): Finding => ({ status: 'failed', saw, mend });
  if (task.enableExecuteCommand !== true)
    return [failed(`The task ${id} began before ECS Exec was enabled, and takes no command.`)];
  const { platformVersion: platform } = task;
  if (task.launchType === 'FARGATE' && platform !== undefined && isOlder(platform, PLATFORM))
    return [
      failed(
        `The task ${id} is on Fargate ${platform}, and ECS Exec needs ${PLATFORM.join('.')}.`,
        `aws ecs update-service --cluster ${clusterArn} --service ${name} --platform-version LATEST --force-new-deployment`,
      ),
    ];
  return exec.flatMap(({ container }) => {
    const found = task.containers?.find((each) => each.name === container);
    if (found === undefined)
      return [
        failed(
          `The task ${id} has no container ${container}, but ${(task.containers ?? []).map((each) => each.name).join(', ')}.`,
          `container: '…' of the role in the configuration, then: npx cdk deploy --all`,
        ),
      ];
    const agent = found.managedAgents?.find((each) => each.name === 'ExecuteCommandAgent');
    if (agent === undefined)
      return [failed(`The container ${container} of the task ${id} has no agent of ECS Exec.`)];
    if (agent.lastStatus !== 'RUNNING')
      return [
        failed(
          `The agent of the container ${container} of the task ${id} is ${agent.lastStatus}${agent.reason === undefined ? '' : `: ${agent.reason}`}.`,
          `aws ecs stop-task --cluster ${clusterArn} --task ${id}   # the service starts another`,
        ),
      ];
    return [];
  });
}

/** On EC2 it is the ECS agent of the instance that starts those of ECS Exec. */
async function hostFindings(
  { clients }: ExaminedDeployment,
  { clusterArn: cluster }: UsedService,
  tasks: Task[],
): Promise<Finding[]> {
  const instances = [...new Set(tasks.flatMap(({ containerInstanceArn: arn }) => arn ?? []))];
  if (instances.length === 0) return [];
  const { containerInstances = [] } = await clients.ecs.send(
    new DescribeContainerInstancesCommand({ cluster, containerInstances: instances }),
  );
  return containerInstances.flatMap(({ containerInstanceArn: arn = '', ec2InstanceId, versionInfo }) => {
    const { agentVersion: version } = versionInfo ?? {};
    if (version === undefined || !isOlder(version, AGENT)) return [];
    return [
      {
        status: 'failed' as const,
        saw: `The ECS agent of the instance ${ec2InstanceId} is ${version}, and ECS Exec needs ${AGENT.join('.')}.`,
        mend: `aws ecs update-container-agent --cluster ${cluster} --container-instance ${lastPart(arn)}`,
      },
    ];
  });
}

function isOlder(version: string, than: readonly number[]): boolean {
  const parts = version.replace(/^v/, '').split('.').map(Number);
  for (const [index, wanted] of than.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part < wanted;
  }
  return false;
}
