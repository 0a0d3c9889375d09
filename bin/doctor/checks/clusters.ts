import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { clusterOf } from '../exec-configuration.ts';
import { lastPart, usedServices } from '../used-services.ts';

/** Whether each cluster is there, and its settings for sessions of ECS Exec are whole. */
export const clusters: Check = {
  name: 'clusters',
  actions: ['lambda:GetFunctionConfiguration', 'ecs:DescribeClusters'],
  run: async (deployment) =>
    ofEach(
      [...new Set((await usedServices(deployment)).map(({ clusterArn }) => clusterArn))],
      lastPart,
      (arn) => look(deployment, arn),
    ),
};

async function look(deployment: ExaminedDeployment, arn: string): Promise<Finding> {
  const cluster = await clusterOf(deployment, arn);
  if (cluster === undefined)
    return {
      status: 'failed',
      saw: `There is no active cluster ${arn}.`,
      mend: 'aws ecs list-clusters   # name the right one in the configuration (clusterName), then: npx cdk deploy --all',
    };
  const {
    kmsKeyId,
    logging = 'DEFAULT',
    logConfiguration,
  } = cluster.configuration?.executeCommandConfiguration ?? {};
  const { cloudWatchLogGroupName: group, s3BucketName: bucket } = logConfiguration ?? {};
  if (logging === 'OVERRIDE' && group === undefined && bucket === undefined)
    return {
      status: 'warning',
      saw: 'Sessions of ECS Exec are to be logged (OVERRIDE), and neither a log group nor a bucket is named.',
      mend: `aws ecs update-cluster --cluster ${arn} --configuration 'executeCommandConfiguration={logging=DEFAULT}'`,
    };
  const where = [...(group ? [`the log group ${group}`] : []), ...(bucket ? [`the bucket ${bucket}`] : [])];
  return {
    status: 'ok',
    saw: `Sessions of ECS Exec: ${kmsKeyId ? `encrypted with ${kmsKeyId} too` : 'no key of their own'}; logged ${logging === 'NONE' ? 'nowhere' : where.length > 0 ? `to ${where.join(' and ')}` : 'as the tasks are'}.`,
  };
}
