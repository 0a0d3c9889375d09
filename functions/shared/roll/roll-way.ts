import type { Service } from '@aws-sdk/client-ecs';
import type { ServiceAddress } from '../containers/services.ts';

/** How a service's tasks will be replaced. */
export type RollPlan = { service: ServiceAddress } & RollWay;

export type RollWay =
  | { kind: 'forced'; strategy: string }
  | { kind: 'task-by-task' }
  | { kind: 'refused'; reason: string; next: string };

/** Of a service that can be rolled. */
export type RollablePlan = Exclude<RollPlan, { kind: 'refused' }>;

export function refused(reason: string, next: string): RollWay & { kind: 'refused' } {
  return { kind: 'refused', reason, next };
}

/**
 * Why ECS could not be asked for new tasks of a service; `undefined` where it could.
 * @param isInactive its task definition is deregistered
 */
export function whyNotDeployable(
  { deploymentController, taskDefinition }: Service,
  { job, isInactive }: { job: string; isInactive: boolean },
): (RollWay & { kind: 'refused' }) | undefined {
  const controller = deploymentController?.type ?? 'ECS';
  if (controller !== 'ECS')
    return refused(
      `It is deployed by ${controller}, which ${job} cannot ask for new tasks.`,
      "Use ECS's own deployment controller, or leave the service out and restart it by other means.",
    );
  if (isInactive)
    return refused(
      `Its task definition ${taskDefinition} is INACTIVE, so that ECS refuses to deploy it anew.`,
      'Register it again, and let the service use the new revision.',
    );
  return undefined;
}

/** How ECS replaces the tasks of a service, by its percentages. */
export function wayOf(service: Service, oneAtATime: boolean): RollWay {
  const { desiredCount: desired = 0, deploymentConfiguration = {} } = service;
  const { minimumHealthyPercent = 100, maximumPercent = 200, strategy = 'ROLLING' } = deploymentConfiguration;
  // The others start a whole second fleet, whatever the percentages. A task that is stopped is replaced under each.
  if (strategy !== 'ROLLING')
    return oneAtATime && desired > 1 ? { kind: 'task-by-task' } : { kind: 'forced', strategy };
  const keep = Math.ceil((desired * minimumHealthyPercent) / 100);
  const cap = Math.floor((desired * maximumPercent) / 100);
  if (desired > 0 && keep >= desired && cap <= desired)
    return refused(
      `Nothing could move: of its ${desired} tasks ${minimumHealthyPercent} % must be kept (${keep}) and no more than ${maximumPercent} % may run (${cap}).`,
      'Lower its minimum healthy percent or raise its maximum percent.',
    );
  const spared = desired - keep;
  const together = spared + cap - desired;
  const gentle = spared <= 1 && (!oneAtATime || together <= 1);
  return gentle || desired <= 1 ? { kind: 'forced', strategy } : { kind: 'task-by-task' };
}
