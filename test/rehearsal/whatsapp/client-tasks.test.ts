import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { startClientTasks } from '../../../rehearsal/whatsapp/client-tasks.ts';
import { Logins } from '../../../rehearsal/whatsapp/logins.ts';
import { ACCOUNT, deploy, MINUTE, REGION } from '../aws/deploy.ts';

for (const [what, percentages] of [
  ['while the old ones still live', { minimumHealthyPercent: 100, maximumPercent: 200 }],
  ['after the old ones have ended', { minimumHealthyPercent: 0, maximumPercent: 100 }],
] as const)
  test(`as many containers use the database as before, where new ones start ${what}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'client-tasks-'));
    try {
      await deploy(
        (stack) => new Topic(stack, 'Alarms'),
        async ({ aws, clock }) => {
          const logins = new Logins(clock, async () => async () => {});
          const tasks = await startClientTasks({
            aws,
            account: ACCOUNT,
            region: REGION,
            cluster: 'client',
            folder,
            roles: { webapp: { service: 'web', container: 'wa-web', tasks: 3, ...percentages } },
            database: {
              credential: () => ({ username: 'wa', password: 'any' }),
              logins,
              perRole: { webapp: 2 },
            },
          });
          try {
            assert.equal(logins.containers, 2);
            for (const after of [4, 6]) {
              tasks.services.webapp?.deploy();
              await clock.runUntil(clock.now() + 5 * MINUTE);
              assert.equal(logins.containers, after);
            }
          } finally {
            await tasks.close();
          }
        },
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
