import { DescribeTaskDefinitionCommand, type ECSClient, type Service } from '@aws-sdk/client-ecs';
import { describeServices, type ServiceAddress } from '../shared/containers/services.ts';
import type { CredentialRotationSettings } from './contract.ts';

/** How a service's tasks will be replaced. */
export type RollPlan = {
  service: ServiceAddress;
  /** The task definition gives containers the secret, or a copy. */
  isGiven: boolean;
} & RollWay;

type RollWay =
  | { kind: 'forced'; strategy: string }
  | { kind: 'task-by-task' }
  | { kind: 'refused'; reason: string; next: string };

/** How each service is rolled: decided from its own settings, before anything is changed. */
export async function planRoll(ecs: ECSClient, settings: CredentialRotationSettings): Promise<RollPlan[]> {
  const addresses = addressesOf(settings);
  const services = await describeServices(ecs, addresses);
  const plans: RollPlan[] = [];
  for (const [index, service] of services.entries()) {
    const address = addresses[index];
    const { oneAtATime = false } = settings.services[index] ?? {};
    if (!address) continue;
    const references = await referencesIn(ecs, service, settings);
    const way = wayOf(service, oneAtATime, references.find(isPinned));
    plans.push({ service: address, isGiven: references.length > 0, ...way });
  }
  return plans;
}

function wayOf(service: Service, oneAtATime: boolean, pinned: string | undefined): RollWay {
  const refused = (reason: string, next: string): RollWay => ({ kind: 'refused', reason, next });
  const controller = service.deploymentController?.type ?? 'ECS';
  if (controller !== 'ECS') {
    return refused(
      `It is deployed by ${controller}, which credential-rotation cannot ask for new tasks.`,
      "Use ECS's own deployment controller, or leave the service out and restart it by other means.",
    );
  }
  if (pinned !== undefined) {
    return refused(
      `Its task definition pins a version of the secret (${pinned}), so that new tasks would get the old password too.`,
      'Take the version stage and the version id from "valueFrom", and deploy the task definition.',
    );
  }
  const { desiredCount: desired = 0, deploymentConfiguration = {} } = service;
  const { minimumHealthyPercent = 100, maximumPercent = 200, strategy = 'ROLLING' } = deploymentConfiguration;
  // The others start a whole second fleet, whatever the percentages. A task that is stopped is replaced under each.
  if (strategy !== 'ROLLING')
    return oneAtATime && desired > 1 ? { kind: 'task-by-task' } : { kind: 'forced', strategy };
  const keep = Math.ceil((desired * minimumHealthyPercent) / 100);
  const cap = Math.floor((desired * maximumPercent) / 100);
  if (desired > 0 && keep >= desired && cap <= desired) {
    return refused(
      `Nothing could move: of its ${desired} tasks ${minimumHealthyPercent} % must be kept (${keep}) and no more than ${maximumPercent} % may run (${cap}).`,
      'Lower its minimum healthy percent or raise its maximum percent.',
    );
  }
  const spared = desired - keep;
  const together = spared + cap - desired;
  const gentle = spared <= 1 && (!oneAtATime || together <= 1);
  return gentle || desired <= 1 ? { kind: 'forced', strategy } : { kind: 'task-by-task' };
}

/** Where a task definition gives containers the credential: the secret itself, or a copy. */
async function referencesIn(
  ecs: ECSClient,
  { taskDefinition }: Service,
  { secretArn, copies }: CredentialRotationSettings,
): Promise<string[]> {
  if (taskDefinition === undefined) return [];
  const { taskDefinition: described } = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition }));
  const secrets = [secretArn, ...copies.flatMap((copy) => (copy.kind === 'secret' ? [copy.secretArn] : []))];
  const parameters = copies.flatMap((copy) => (copy.kind === 'parameter' ? [copy.name] : []));
  return (described?.containerDefinitions ?? [])
    .flatMap(({ secrets: given = [] }) => given.map(({ valueFrom = '' }) => valueFrom))
    .filter(
      (reference) =>
        secrets.some((arn) => reference.startsWith(arn)) ||
        parameters.some((name) => isParameter(reference, name)),
    );
}

/** By its name, or by its ARN, which leaves out a slash before the name. */
function isParameter(reference: string, name: string): boolean {
  return reference === name || reference.endsWith(`:parameter/${name.replace(/^\//, '')}`);
}

/**
 * A reference to a secret is `ARN:KEY:STAGE:ID`. Only what is without an id, and of the stage AWSCURRENT if of any, is a
 * new password for a new task.
 */
function isPinned(reference: string): boolean {
  if (!reference.includes(':secret:')) return false;
  const [, , , , , , , , stage = '', id = ''] = reference.split(':');
  return id !== '' || (stage !== '' && stage !== 'AWSCURRENT');
}

/** The services of the settings, in their order. */
export function addressesOf({ clusterArn, services }: CredentialRotationSettings): ServiceAddress[] {
  return services.map((service) => ({ name: service.name, clusterArn: service.clusterArn ?? clusterArn }));
}
