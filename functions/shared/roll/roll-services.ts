import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { taskIdOf } from '../containers/discover-containers.ts';
import { olderTasks, type ServiceAddress } from '../containers/services.ts';
import { lookUntil } from './look-until.ts';
import { type RolledResult, type RollRequest, rollService, type Verdict } from './roll-service.ts';
import type { RollablePlan } from './roll-way.ts';

/** How a roll over all services ended. */
export interface Roll<Proof extends Verdict = Verdict> {
  /** Those that were begun. */
  services: RolledResult<Proof>[];
  /** Of the services at which it stopped: `undefined` when no old task lives any more. */
  stopped?: { services: string[]; what: string; next: string };
}

/** More of a kind nobody reads, and a run's history holds each look. */
const MOST_NAMED = 20;

async function oldTasks(
  { ecs, madeBefore }: Pick<RollRequest, 'ecs' | 'madeBefore'>,
  addresses: ServiceAddress[],
) {
  const tasks: Awaited<ReturnType<typeof olderTasks>> = [];
  for (const service of addresses) tasks.push(...(await olderTasks(ecs, [service], madeBefore(service))));
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
export async function rollServices<Plan extends RollablePlan, Proof extends Verdict>(
  context: DurableContext,
  plans: Plan[],
  request: RollRequest<Plan, Proof>,
): Promise<Roll<Proof>> {
  const services: RolledResult<Proof>[] = [];
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
  const { steadyTimeoutSeconds: timeoutSeconds, endBy, words } = request;
  const look = () => oldTasks(request, addresses);
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
      what: `${words.oldTasks} ${named(old.named, old.count)}.`,
      next: words.oldTasksNext,
    },
  };
}
