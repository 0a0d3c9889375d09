import { DescribeContainerInstancesCommand, type TaskDefinition } from '@aws-sdk/client-ecs';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import type { Standing } from '../network/reach.ts';
import { reachFindings } from '../network/reach-findings.ts';
import { LOOK_AT_VPC, subnetsNamed, type Vpc, vpcNamed } from '../network/vpc.ts';
import {
  definitionOf,
  describedService,
  LOOK_AT_DEFINITIONS,
  LOOK_AT_TASKS,
  tasksOf,
  type UsedService,
  usedServices,
} from '../used-services.ts';

/** Whether tasks have a way to what they need of AWS: Session Manager, and what is read when they start. */
export const taskNetworks: Check = {
  name: 'networks of the tasks',
  actions: [
    ...LOOK_AT_TASKS,
    ...LOOK_AT_DEFINITIONS,
    ...LOOK_AT_VPC,
    'ec2:DescribeNetworkInterfaces',
    'ecs:DescribeContainerInstances',
  ],
  run: async (deployment) =>
    ofEach(
      await usedServices(deployment),
      ({ label }) => label,
      (service) => look(deployment, service),
    ),
};

async function look(deployment: ExaminedDeployment, service: UsedService): Promise<Finding[]> {
  const definition = await definitionOf(deployment, service);
  if (definition === undefined) return [];
  const services = [...(service.exec.length > 0 ? ['ssmmessages'] : []), ...readAtStart(definition)];
  if (services.length === 0) return [];
  return reachFindings(deployment, {
    who: 'Its tasks',
    standings: await standingsOf(deployment, service),
    services: [...new Set(services)].sort(),
    region: await deployment.region(),
  });
}

async function standingsOf(deployment: ExaminedDeployment, service: UsedService): Promise<Standing[]> {
  const { networkConfiguration } = (await describedService(deployment, service)) ?? {};
  const own = networkConfiguration?.awsvpcConfiguration;
  if (own === undefined) return hostStandings(deployment, service);
  const [task] = await tasksOf(deployment, service);
  const subnets = await subnetsNamed(deployment, own.subnets ?? []);
  return Promise.all(
    subnets.map(async ({ SubnetId: subnetId = '', VpcId: vpcId = '' }) => {
      const vpc = await vpcNamed(deployment, vpcId);
      return {
        vpc,
        subnetId,
        groupIds: own.securityGroups ?? defaultGroups(vpc),
        // Only Fargate gives a task one.
        hasPublicAddress: own.assignPublicIp === 'ENABLED' && task?.containerInstanceArn === undefined,
      };
    }),
  );
}

/** Of a service that names none. */
function defaultGroups({ groups }: Vpc): string[] {
  return [...groups.values()].flatMap(({ GroupId: id, GroupName: name }) =>
    id !== undefined && name === 'default' ? [id] : [],
  );
}

/** In the network modes bridge and host a task calls by its instance's address. */
async function hostStandings(deployment: ExaminedDeployment, service: UsedService): Promise<Standing[]> {
  const tasks = await tasksOf(deployment, service);
  const arns = [...new Set(tasks.flatMap(({ containerInstanceArn: arn }) => arn ?? []))];
  if (arns.length === 0) return [];
  const { containerInstances = [] } = await deployment.clients.ecs.send(
    new DescribeContainerInstancesCommand({ cluster: service.clusterArn, containerInstances: arns }),
  );
  // Those that are not of EC2 (`mi-…`) stand in a network of their own.
  const ids = containerInstances.flatMap(({ ec2InstanceId: id }) => (id?.startsWith('i-') ? [id] : []));
  if (ids.length === 0) return [];
  const { paginateDescribeNetworkInterfaces } = await import('@aws-sdk/client-ec2');
  const client = await deployment.clients.ec2();
  const found: Standing[] = [];
  // The first one has the route out; those of tasks in the mode awsvpc are others.
  for await (const { NetworkInterfaces: page = [] } of paginateDescribeNetworkInterfaces(
    { client },
    { Filters: [{ Name: 'attachment.instance-id', Values: ids }] },
  ))
    for (const { Attachment, VpcId: vpcId, SubnetId: subnetId, Groups: groups = [], Association } of page)
      if (Attachment?.DeviceIndex === 0 && vpcId !== undefined && subnetId !== undefined)
        found.push({
          vpc: await vpcNamed(deployment, vpcId),
          subnetId,
          groupIds: groups.flatMap(({ GroupId: id }) => id ?? []),
          hasPublicAddress: Association?.PublicIp !== undefined,
        });
  return found;
}

/** What ECS reads for a container before it starts, by the task's own network on Fargate and the instance's on EC2. */
function readAtStart({ containerDefinitions: all = [] }: TaskDefinition): string[] {
  return all.flatMap(({ secrets = [], logConfiguration, image = '' }) => [
    ...secrets.map(({ valueFrom = '' }) =>
      valueFrom.includes(':secretsmanager:') ? 'secretsmanager' : 'ssm',
    ),
    ...(logConfiguration?.logDriver === 'awslogs' ? ['logs'] : []),
    ...(/\.dkr\.ecr\./.test(image) ? ['ecr.api', 'ecr.dkr'] : []),
  ]);
}
