import type { ECSClient, Service } from '@aws-sdk/client-ecs';
import { describeServices, type ServiceAddress } from '../shared/containers/services.ts';
import type { Login } from '../shared/database/contract/engine.ts';
import { type RollWay, refused, wayOf, whyNotDeployable } from '../shared/roll/roll-way.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { type DefinitionFindings, lookIntoDefinition } from './task-definitions.ts';

/** How a service's tasks will be replaced. */
export type RollPlan = {
  service: ServiceAddress;
  /** The task definition gives containers the password from the secret, or from a copy. */
  isGiven: boolean;
} & RollWay;

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
      ...wayWith(service, oneAtATime, definition),
    });
  }
  return plans;
}

function wayWith(service: Service, oneAtATime: boolean, definition: DefinitionFindings): RollWay {
  const { isInactive, pinned, inClear } = definition;
  const undeployable = whyNotDeployable(service, { job: 'credential-rotation', isInactive });
  if (undeployable !== undefined) return undeployable;
  if (inClear !== undefined)
    return refused(
      `Its task definition holds the password itself, in ${inClear}, so that new tasks would get the old one too.`,
      'Give it to the container by "secrets" with the ARN of the secret, or of a copy, and deploy that.',
    );
  if (pinned !== undefined)
    return refused(
      `Its task definition pins a version of the secret (${pinned}), so that new tasks would get the old credential too.`,
      'Take the version stage and the version id from "valueFrom", and deploy the task definition.',
    );
  const { desiredCount: desired = 0 } = service;
  if (desired > MOST_TASKS)
    return refused(
      `It has ${desired} tasks; who of its new ones logs in is kept on record for ${MOST_TASKS} at most.`,
      'Divide it into services of fewer tasks.',
    );
  return wayOf(service, oneAtATime);
}

/** The services of the settings, in their order. */
export function addressesOf({ clusterArn, services }: CredentialRotationSettings): ServiceAddress[] {
  return services.map((service) => ({ name: service.name, clusterArn: service.clusterArn ?? clusterArn }));
}
