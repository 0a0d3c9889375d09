import { invalid } from './errors.ts';
import { PAGE } from './page.ts';
import { type EcsTask, instanceArn } from './task.ts';

/** As DescribeContainerInstances tells of those that a cluster's tasks run on. */
export function describeInstances(cluster: string, tasks: readonly EcsTask[], wanted: readonly string[]) {
  if (wanted.length > PAGE) throw invalid('Container instances cannot be more than 100.');
  const hosts = new Map(
    tasks.flatMap((task) =>
      task.clusterArn === cluster && task.host ? [[instanceArn(cluster, task.host), task.host]] : [],
    ),
  );
  return {
    containerInstances: wanted.flatMap((arn) => {
      const host = hosts.get(arn);
      if (host === undefined) return [];
      const versionInfo = { agentVersion: host.ecsAgentVersion };
      return [{ containerInstanceArn: arn, ec2InstanceId: host.instanceId, status: 'ACTIVE', versionInfo }];
    }),
    failures: wanted.filter((arn) => !hosts.has(arn)).map((arn) => ({ arn, reason: 'MISSING' })),
  };
}
