import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import { executionsOf } from '../shared/run/executions.ts';
import type { StartRunEvent } from '../start-run/contract.ts';
import type { DeliverySettings } from './contract.ts';

/**
 * Starts the run that carries a new password to the containers, unless one is going on: that one started the
 * rotation and waits for it. So a rotation that somebody starts by hand is delivered too.
 */
export async function startDelivery(
  lambda: LambdaClient,
  deployment: string,
  { job, functionArn, startRunArn }: DeliverySettings,
): Promise<'started' | 'awaited'> {
  const running = await executionsOf(lambda, functionArn, { Statuses: ['RUNNING'] });
  if (running.length > 0) return 'awaited';
  const event: StartRunEvent = { job, deployment };
  await lambda.send(
    new InvokeCommand({
      FunctionName: startRunArn,
      InvocationType: 'Event',
      Payload: JSON.stringify(event),
    }),
  );
  return 'started';
}
