import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkConfiguration, type Deployment } from '../../../lib/whatsapp/configuration/configuration.ts';
import { UpkeepStack } from '../../../lib/whatsapp/upkeep-stack.ts';
import sample from '../../../upkeep.config.ts';
import { appWithoutBundles, ofType, REPOSITORY, type Resource, resourcesOf } from '../template.ts';

const deployments = checkConfiguration(sample, { file: 'upkeep.config.ts', folder: REPOSITORY });

/** The log and the queue of dead letters of a job, by their logical ids. */
function recordsOf(deployment: Deployment, job: string): Record<string, Resource> {
  const stack = new UpkeepStack(appWithoutBundles(), `upkeep-${deployment.name}`, { deployment });
  const resources = resourcesOf(stack);
  const name = `${deployment.name}-${job}`;
  const logs = ofType(resources, 'AWS::Logs::LogGroup').filter(
    ([, { Properties: log }]) => log.LogGroupName === `/aws/lambda/${name}`,
  );
  const queues = ofType(resources, 'AWS::SQS::Queue').filter(
    ([, { Properties: queue }]) => queue.QueueName === `${name}-dead-letters`,
  );
  const found = [...logs, ...queues];
  const policies = ofType(resources, 'AWS::SQS::QueuePolicy').filter(([, { Properties: policy }]) =>
    policy.Queues.some(({ Ref }: { Ref: string }) => queues.some(([id]) => id === Ref)),
  );
  assert.equal(found.length, 2, `${name} ${JSON.stringify(found)}`);
  assert.equal(policies.length, 1);
  return Object.fromEntries(found);
}

/** All logs and queues of a stack, by their logical ids. */
function storesOf(deployment: Deployment): Record<string, Resource> {
  const stack = new UpkeepStack(appWithoutBundles(), `upkeep-${deployment.name}`, { deployment });
  const resources = resourcesOf(stack);
  return Object.fromEntries([
    ...ofType(resources, 'AWS::Logs::LogGroup'),
    ...ofType(resources, 'AWS::SQS::Queue'),
  ]);
}

const JOBS = {
  messageGc: 'message-gc',
  mediaGc: 'media-gc',
  logCleanup: 'log-cleanup',
  credentialRotation: 'credential-rotation',
  databaseSize: 'database-size',
} as const;

describe('what is on record of a job that is taken out of the configuration', () => {
  for (const [field, job] of Object.entries(JOBS) as [keyof typeof JOBS, string][])
    it(`${job}: its log and its letters stay as they are, and are the same when it is put back`, () => {
      const deployment = deployments.find(({ jobs }) => jobs[field]);
      assert.ok(deployment, `the sample has ${job}`);
      const { [field]: _, ...others } = deployment.jobs;
      const without = { ...deployment, jobs: others as Deployment['jobs'] };
      assert.deepEqual(recordsOf(without, job), recordsOf(deployment, job));
    });

  it('of every part together: no log and no queue goes with the part that had it', () => {
    const relay = {
      webhookUrl: 'https://webhook.example.com/',
      secretPathHashes: ['0'.repeat(64)],
      webhookTimeoutSeconds: 20,
    };
    const names: string[] = [];
    for (const deployment of deployments) {
      const callbacks = { ...deployment.callbacks, relay } as Deployment['callbacks'];
      const stores = storesOf({ ...deployment, callbacks });
      const kept = storesOf({ ...deployment, jobs: {}, upgradeCheck: undefined });
      for (const [id, store] of Object.entries(stores)) {
        assert.deepEqual(kept[id], store, `${id} of ${deployment.name}`);
        names.push(store.Properties.LogGroupName ?? store.Properties.QueueName);
      }
    }
    for (const name of ['unread-messages', 'rotate-secret', 'callback-relay'])
      assert.ok(
        names.some((stored) => stored.endsWith(name)),
        name,
      );
  });

  it('upgrade-check: likewise', () => {
    const deployment = deployments.find(({ upgradeCheck }) => upgradeCheck);
    assert.ok(deployment);
    const without = { ...deployment, upgradeCheck: undefined };
    assert.deepEqual(recordsOf(without, 'upgrade-check'), recordsOf(deployment, 'upgrade-check'));
  });
});
