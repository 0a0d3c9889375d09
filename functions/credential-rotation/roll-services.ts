import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { taskIdOf } from '../shared/containers/discover-containers.ts';
import { olderTasks } from '../shared/containers/services.ts';
import { lookUntil } from './look-until.ts';
import type { RollPlan } from './plan-roll.ts';
import { type RolledResult, type RollRequest, rollService } from './roll-service.ts';

/** How a roll over all services ended. */
export interface Roll {
  /** Those that were begun. */
  services: RolledResult[];
  /** Of the services at which it stopped: `undefined` when no old task lives any more. */
  stopped?: { services: string[]; what: string; next: string };
}

/** More of a kind nobody reads, and a run's history holds each look. */
const MOST_NAMED = 20;

async function oldTasks(ecs: RollRequest['ecs'], addresses: RollPlan['service'][], deliveredAt: number) {
  const tasks = await olderTasks(ecs, addresses, deliveredAt);
  return {
    count: tasks.length,
    services: [...new Set(tasks.map(({ service }) => service))],
    named: tasks.slice(0, MOST_NAMED).map(({ service, taskArn }) => `${service}/${taskIdOf(taskArn)}`),
  };
}

/** The first of many, and how many more there are. */
function named(names: readonly string[], count: number): string {
  const more = count - names.length;
  return names.join(', ') + (more > 0 ? `, and ${more} more` : '');
}

/** Rolls one service after the other, up to the first that fails, and sees to it that no old task is left in any. */
export async function rollServices(
  context: DurableContext,
  plans: Exclude<RollPlan, { kind: 'refused' }>[],
  request: RollRequest,
): Promise<Roll> {
  const services: RolledResult[] = [];
  for (const [index, plan] of plans.entries()) {
    const result = await rollService(context, plan, request);
    services.push(result);
    if (result.outcome !== 'failed') continue;
    const untouched = plans.slice(index + 1).map(({ service }) => service.name);
    return {
      services,
      stopped: {
        services: [result.service],
        what: `The roll stopped at the service ${result.service}: ${result.reason}${untouched.length > 0 ? ` Not touched: ${untouched.join(', ')}.` : ''}`,
        next:
          result.next ??
          result.proof?.next ??
          'See in ECS why its tasks do not come up, and mend that. The next run goes on from there.',
      },
    };
  }
  const addresses = plans.map(({ service }) => service);
  const { ecs, deliveredAt, steadyTimeoutSeconds: timeoutSeconds, endBy } = request;
  const look = () => oldTasks(ecs, addresses, deliveredAt);
  const old = await lookUntil(context, 'old tasks end', look, {
    good: ({ count }) => count === 0,
    timeoutSeconds,
    endBy,
  });
  if (old.count === 0) return { services };
  return {
    services,
    stopped: {
      services: old.services,
      what: `Tasks from before the delivery still live: ${named(old.named, old.count)}.`,
      next: 'Stop them. The next run retires the old password.',
    },
  };
}
