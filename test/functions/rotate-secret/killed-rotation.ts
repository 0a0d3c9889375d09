/**
 * A process as Lambda's: runs the real handler step by step as Secrets Manager calls it, and is killed at a point.
 * The parent sends the number of the point; the settings are in the environment.
 */
import { handler } from '../../../functions/rotate-secret/handler.ts';
import { watched } from './faults.ts';
import { stepEvents } from './steps.ts';

process.once('message', async ({ arn, token, at }: { arn: string; token: string; at: number }) => {
  const { error } = await watched({ at, kind: 'killed' }, async () => {
    for (const event of stepEvents(arn, token)) await handler(event);
  });
  process.send?.({ ended: error === undefined }, () => process.exit());
});
process.send?.({ ready: true });
