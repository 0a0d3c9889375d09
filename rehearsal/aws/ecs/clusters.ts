import type { DescribeClustersCommandInput, ExecuteCommandConfiguration } from '@aws-sdk/client-ecs';
import type { Place } from '../place.ts';
import { clusterArn, lastPart } from './arns.ts';

/** As DescribeClusters tells of them. */
export function describeClusters(
  known: ReadonlySet<string>,
  execConfigurations: Record<string, ExecuteCommandConfiguration>,
  { clusters = ['default'], include = [] }: DescribeClustersCommandInput,
  place: Place,
) {
  const arns = clusters.map((each) => clusterArn(each, place));
  return {
    clusters: arns
      .filter((arn) => known.has(arn))
      .map((arn) => ({
        clusterArn: arn,
        clusterName: lastPart(arn),
        status: 'ACTIVE',
        ...(include.includes('CONFIGURATIONS') && {
          configuration: { executeCommandConfiguration: execConfigurations[arn] },
        }),
      })),
    failures: arns.filter((arn) => !known.has(arn)).map((arn) => ({ arn, reason: 'MISSING' })),
  };
}
