import type { ECSClient, Service } from '@aws-sdk/client-ecs';
import { describeServices, type ServiceAddress } from '../shared/containers/services.ts';
import type { Login } from '../shared/database/contract/engine.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { type DefinitionFindings, lookIntoDefinition } from './task-definitions.ts';

/** How a service's tasks will be replaced. */
export type RollPlan = {
  service: ServiceAddress;
  /** The task definition gives containers the password from the secret, or from a copy. */
  isGiven: boolean;
} & RollWay;

type RollWay =
  | { kind: 'forced'; strategy: string }
  | { kind: 'task-by-task' }
  | { kind: 'refused'; reason: string; next: string };

/** Of a service that can be rolled. */
export type RollablePlan = Exclude<RollPlan, { kind: 'refused' }>;

/** Of a service: ECS's own limit on them. As many have room in what Lambda takes as a step's result. */
const MOST_TASKS = 5000;

/** How each service is rolled: decided from its own settings, before anything is changed. */
export async function planRoll(
  ecs: ECSClient,
  settings: CredentialRotationSettings,
  current: Login,
): Promise<RollPlan[]> {
  const addresses = addressesOf(settings);
  const services = await describeServices(ecs, addresses);
  const plans: RollPlan[] = [];
  for (const [index, service] of services.entries()) {
    const address = addresses[index];
    const { oneAtATime = false } = settings.services[index] ?? {};
    if (!address) continue;
    const definition = await lookIntoDefinition(ecs, service.taskDefinition, settings, { current });
    plans.push({
      service: address,
      isGiven: definition.isGiven,
      ...wayOf(service, oneAtATime, definition),
    });
  }
  return plans;
}

function wayOf(
  service: Service,
  oneAtATime: boolean,
  { isInactive, pinned, inClear }: DefinitionFindings,
): RollWay {
  const refused = (reason: string, next: string): RollWay => ({ kind: 'refused', reason, next });
  const controller = service.deploymentController?.type ?? 'ECS';
  if (controller !== 'ECS') {
    return refused(
      `It is deployed by ${controller}, which credential-rotation cannot ask for new tasks.`,
      "Use ECS's own deployment controller, or leave the service out and restart it by other means.",
    );
  }
  if (isInactive) {
    return refused(
      `Its task definition ${service.taskDefinition} is INACTIVE, so that ECS refuses to deploy it anew.`,
      'Register it again, and let the service use the new revision.',
    );
  }
  if (inClear !== undefined) {
    return refused(
      `Its task definition holds the password itself, in ${inClear}, so that new tasks would get the old one too.`,
      'Give it to the container by "secrets" with the ARN of the secret, or of a copy, and deploy that.',
    );
  }
  if (pinned !== undefined) {
    return refused(
      `Its task definition pins a version of the secret (${pinned}), so that new tasks would get the old credential too.`,
      'Take the version stage and the version id from "valueFrom", and deploy the task definition.',
    );
  }
  const { desiredCount: desired = 0, deploymentConfiguration = {} } = service;
  if (desired > MOST_TASKS)
    return refused(
      `It has ${desired} tasks; who of its new ones logs in is kept on record for ${MOST_TASKS} at most.`,
      'Divide it into services of fewer tasks.',
    );
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

/** The services of the settings, in their order. */
export function addressesOf({ clusterArn, services }: CredentialRotationSettings): ServiceAddress[] {
  return services.map((service) => ({ name: service.name, clusterArn: service.clusterArn ?? clusterArn }));
}
