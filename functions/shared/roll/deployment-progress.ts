import {
  DescribeServiceDeploymentsCommand,
  type ECSClient,
  ListServiceDeploymentsCommand,
} from '@aws-sdk/client-ecs';
import { taskIdOf } from '../containers/discover-containers.ts';
import { describeServices, type ServiceAddress, whyUnsteady } from '../containers/services.ts';
import { withoutFullStop } from '../run/full-stop.ts';

/** How far a service has come. */
export interface Progress {
  kind: 'moving' | 'done' | 'failed';
  reason: string;
  at: number;
}

/** A deployment whose id is gone was rolled back, or another has taken its place: the service may look steady. */
export async function rollingProgress(
  { ecs }: { ecs: ECSClient },
  address: ServiceAddress,
  id: string,
): Promise<Progress> {
  const [service] = await describeServices(ecs, [address]);
  const deployment = service?.deployments?.find((each) => each.id === id);
  const at = Date.now();
  if (deployment === undefined) {
    return { kind: 'failed', reason: `The deployment ${id} was rolled back, or another took its place.`, at };
  }
  const { rolloutState, rolloutStateReason = '', status } = deployment;
  // Behind a Classic Load Balancer there is none: a deployment that is alone and has its tasks has ended.
  if (rolloutState === undefined && status === 'PRIMARY') {
    const unsteady = service && whyUnsteady(service);
    return unsteady === undefined
      ? { kind: 'done', reason: '', at }
      : { kind: 'moving', reason: unsteady, at };
  }
  if (rolloutState === 'COMPLETED') return { kind: 'done', reason: '', at };
  if (rolloutState === 'FAILED' || status !== 'PRIMARY') {
    return {
      kind: 'failed',
      reason: `The deployment ${id} failed: ${withoutFullStop(rolloutStateReason || String(status))}.`,
      at,
    };
  }
  return { kind: 'moving', reason: rolloutStateReason, at };
}

/** Of the strategies with a second fleet, whose old tasks live until the deployment has succeeded. */
export async function deploymentProgress(
  { ecs }: { ecs: ECSClient },
  { clusterArn: cluster, name: service }: ServiceAddress,
  idBefore: string,
  since: number,
): Promise<Progress> {
  const { serviceDeployments: listed = [] } = await ecs.send(
    new ListServiceDeploymentsCommand({
      cluster,
      service,
      createdAt: { after: new Date(since - CLOCK_SKEW) },
    }),
  );
  const newest = listed
    .filter(({ serviceDeploymentArn = '' }) => taskIdOf(serviceDeploymentArn) !== taskIdOf(idBefore))
    .sort((a, b) => (b.createdAt?.getTime() ?? 0) - (a.createdAt?.getTime() ?? 0))[0]?.serviceDeploymentArn;
  const at = Date.now();
  if (newest === undefined) return { kind: 'moving', reason: 'ECS does not list the deployment yet.', at };
  const { serviceDeployments = [] } = await ecs.send(
    new DescribeServiceDeploymentsCommand({ serviceDeploymentArns: [newest] }),
  );
  const { status = 'PENDING', statusReason = '' } = serviceDeployments[0] ?? {};
  if (status === 'SUCCESSFUL') return { kind: 'done', reason: '', at };
  return status === 'PENDING' || status === 'IN_PROGRESS'
    ? { kind: 'moving', reason: statusReason, at }
    : {
        kind: 'failed',
        reason: `The service deployment ${newest} is ${status}: ${withoutFullStop(statusReason)}.`,
        at,
      };
}

/** Between this function's clock and that of ECS. Milliseconds. */
const CLOCK_SKEW = 60_000;
