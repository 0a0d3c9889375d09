import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import { taskIdOf } from '../shared/containers/discover-containers.ts';
import {
  describeServices,
  livingTasks,
  type ServiceAddress,
  whyUnsteady,
} from '../shared/containers/services.ts';
import { lookUntil } from '../shared/roll/look-until.ts';
import type { Verdict } from '../shared/roll/roll-service.ts';

/** Whether a service stays up with its new tasks. */
export interface StaysUp extends Verdict {
  isUp: boolean;
}

interface Look {
  /** Why it is not as it should be. */
  why: string | null;
  /** Since when no look saw anything wrong, and no task was replaced. Epoch milliseconds; `null`: something is. */
  steadySince: number | null;
  /** When its youngest task was made. Epoch milliseconds. */
  youngest: number;
  at: number;
}

/**
 * Waits until a service was steady for some time on end, with the same tasks: one that cannot work with a new value may come
 * up, and end a moment later.
 */
export async function staysUp(
  context: DurableContext,
  operation: string,
  {
    ecs,
    service,
    settleSeconds,
    timeoutSeconds,
    endBy,
  }: {
    ecs: ECSClient;
    service: ServiceAddress;
    settleSeconds: number;
    timeoutSeconds: number;
    /** Epoch milliseconds. */
    endBy: number;
  },
): Promise<StaysUp> {
  const isSettled = ({ steadySince, at }: Look) =>
    steadySince !== null && at - steadySince >= settleSeconds * 1000;
  const seen = await lookUntil<Look>(context, operation, (before) => look(ecs, service, before), {
    good: isSettled,
    timeoutSeconds,
    endBy,
  });
  const isUp = isSettled(seen);
  return {
    isUp,
    evidence: isUp
      ? `It was steady for ${settleSeconds} seconds with its new tasks.`
      : `Its new tasks do not stay up: ${seen.why ?? 'they are replaced again and again.'}`,
    next: "See in ECS and in the containers' logs why. If the new value is wrong, put a right one there: the next run goes on from there.",
  };
}

async function look(ecs: ECSClient, address: ServiceAddress, before: Look | undefined): Promise<Look> {
  const [service] = await describeServices(ecs, [address]);
  const tasks = await livingTasks(ecs, address);
  const unhealthy = tasks.find(({ healthStatus }) => healthStatus === 'UNHEALTHY');
  const why =
    (service && whyUnsteady(service)) ??
    (unhealthy ? `the task ${taskIdOf(unhealthy.taskArn ?? '')} is unhealthy.` : null);
  const youngest = Math.max(0, ...tasks.map(({ createdAt }) => createdAt?.getTime() ?? 0));
  const at = Date.now();
  const isSame = before === undefined || before.youngest >= youngest;
  return {
    why,
    steadySince: why === null ? (isSame ? (before?.steadySince ?? at) : at) : null,
    youngest,
    at,
  };
}
