import { SSMClient } from '@aws-sdk/client-ssm';
import { ecsExecClients } from '../ecs-exec/session.ts';
import { namingErrors } from '../run/naming-errors.ts';
import { REQUEST_LIMITS } from '../run/request-limits.ts';
import { EcsExecReach } from './ecs-exec-reach.ts';
import type { Reach } from './reach.ts';
import { RunCommandReach } from './run-command-reach.ts';
import type { ContainersSettings } from './settings.ts';

/** The way into containers that a job's settings name. */
export function reachOf({ reach, clusterArn }: ContainersSettings): Reach {
  return reach === 'ecs-exec'
    ? new EcsExecReach(ecsExecClients(), clusterArn)
    : new RunCommandReach(namingErrors(new SSMClient({ maxAttempts: 1, requestHandler: REQUEST_LIMITS })));
}
