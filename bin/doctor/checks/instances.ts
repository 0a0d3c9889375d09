import { DescribeContainerInstancesCommand } from '@aws-sdk/client-ecs';
import { type InstanceInformation, paginateDescribeInstanceInformation } from '@aws-sdk/client-ssm';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { LOOK_AT_TASKS, tasksOf, type UsedService, usedServices } from '../used-services.ts';

/** Whether Run Command reaches the instances on which the containers are: Systems Manager knows them, and hears of their agents. */
export const instances: Check = {
  name: 'instances for Run Command',
  actions: [...LOOK_AT_TASKS, 'ecs:DescribeContainerInstances', 'ssm:DescribeInstanceInformation'],
  run: async (deployment) =>
    ofEach(
      (await usedServices(deployment)).filter(({ byRunCommand }) => byRunCommand),
      ({ label }) => label,
      (service) => look(deployment, service),
    ),
};

async function look(deployment: ExaminedDeployment, service: UsedService): Promise<Finding[]> {
  const { ecs, ssm } = deployment.clients;
  const tasks = await tasksOf(deployment, service);
  if (tasks.length === 0) return [];
  const arns = [...new Set(tasks.flatMap(({ containerInstanceArn: arn }) => arn ?? []))];
  if (arns.length === 0)
    return [
      {
        status: 'failed',
        saw: 'Its tasks are on no instance, and are to be reached by Run Command.',
        mend: 'No runCommand in the configuration: ECS Exec reaches tasks of Fargate. Then: npx cdk deploy --all',
      },
    ];
  const { containerInstances = [] } = await ecs.send(
    new DescribeContainerInstancesCommand({ cluster: service.clusterArn, containerInstances: arns }),
  );
  const ids = containerInstances.flatMap(({ ec2InstanceId: id }) => id ?? []);
  const known = new Map<string, InstanceInformation>();
  const pages = paginateDescribeInstanceInformation(
    { client: ssm },
    { Filters: [{ Key: 'InstanceIds', Values: ids }] },
  );
  for await (const { InstanceInformationList: page = [] } of pages)
    for (const each of page) known.set(each.InstanceId ?? '', each);
  const wrong = ids.flatMap((id): Finding[] => {
    const status = known.get(id)?.PingStatus;
    if (status === 'Online') return [];
    return [
      status === undefined
        ? {
            status: 'failed',
            saw: `Systems Manager does not know the instance ${id}.`,
            mend: `aws ec2 describe-instances --instance-ids ${id} --query 'Reservations[].Instances[].IamInstanceProfile'   # its role needs the policy AmazonSSMManagedInstanceCore, and it the SSM agent`,
          }
        : {
            status: 'failed',
            saw: `Systems Manager does not hear of the instance ${id}: ${status}.`,
            mend: 'sudo systemctl restart amazon-ssm-agent   # on the instance; it needs a way to ssm, ssmmessages and ec2messages',
          },
    ];
  });
  return wrong.length > 0
    ? wrong
    : [{ status: 'ok', saw: `Systems Manager hears of ${ids.length} instances.` }];
}
