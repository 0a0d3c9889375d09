import { type Cluster, DescribeClustersCommand } from '@aws-sdk/client-ecs';
import type { ExaminedDeployment } from './examined-deployment.ts';

/** A cluster, with how it has sessions of ECS Exec encrypted and logged. Undefined: there is none. */
export function clusterOf(deployment: ExaminedDeployment, arn: string): Promise<Cluster | undefined> {
  return deployment.once(`cluster ${arn}`, async () => {
    const { clusters = [] } = await deployment.clients.ecs.send(
      new DescribeClustersCommand({ clusters: [arn], include: ['CONFIGURATIONS'] }),
    );
    return clusters.find(({ status }) => status === 'ACTIVE');
  });
}
