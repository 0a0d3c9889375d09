import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { StartOutcome } from '../../functions/start-run/contract.ts';
import { Container } from '../../rehearsal/aws/containers/container.ts';
import { clientsOf } from '../../rehearsal/clients.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { createWorld } from '../../rehearsal/world.ts';
import { besideFormula, countCalls, measuredRun } from './calls-of-runs.ts';
import { assertDocumented, runRecords } from './run-records.ts';
import { buildStage, type Stage } from './stage.ts';

const MINUTE = 60_000;
/** 01:45 in Berlin: in emea's downtime window, after the nightly message GC would have begun. */
const START = Date.parse('2026-11-25T00:45:00Z');
const PLACE = { account: '222222222222', region: 'eu-central-1' };

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

test("the sample's deployment is prepared for an upgrade by its own message-gc, which its client answers", async (t) => {
  const { emea } = clientsOf(stage.scale, START, undefined);
  assert.ok(emea);
  const { containers: _, logins: __, ...client } = emea;
  const world = await createWorld({
    cdkOut: stage.cdkOut,
    postgres: stage.postgres,
    clients: { emea: client },
    start: START,
  });
  const folder = mkdtempSync(join(tmpdir(), 'upgrade-check-'));
  const containers: Container[] = [];
  t.after(async () => {
    await world.close();
    await Promise.all(containers.map((container) => container.remove()));
    rmSync(folder, { recursive: true, force: true });
  });
  const { aws, clock, deployments } = world;
  const calls = countCalls(aws);
  for (const service of ['webapp', 'coreapp', 'master'])
    aws.ecs.manageService({
      ...PLACE,
      cluster: 'whatsapp-emea',
      service,
      desiredCount: 1,
      start: async () => {
        const container = await Container.start({
          name: service,
          folder: join(folder, service),
          isolation: 'rewritten',
        });
        containers.push(container);
        return [container];
      },
    });
  aws.cloudWatch.put(PLACE, 'AWS/RDS', 'FreeStorageSpace', { DBInstanceIdentifier: 'whatsapp-emea' }, 5e9);
  await clock.runUntil(START + 5 * MINUTE);

  const lambda = new LambdaClient({
    region: PLACE.region,
    endpoint: aws.endpoint,
    credentials: aws.credentialsFor({
      arn: `arn:aws:sts::${PLACE.account}:assumed-role/operator/somebody`,
      policy: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: '*' }],
      },
    }),
  });
  const start = async (job: string, options: object = {}): Promise<StartOutcome> => {
    const { Payload: payload } = await clock.hold(() =>
      lambda.send(
        new InvokeCommand({
          FunctionName: 'emea-start-run',
          Payload: JSON.stringify({ job, deployment: 'emea', options }),
        }),
      ),
    );
    return JSON.parse(Buffer.from(payload ?? []).toString());
  };
  const started = await start('upgrade-check', { prepare: true });
  assert.equal(started.outcome, 'started');
  await clock.runUntil(START + 90 * MINUTE);

  const prepared = reportsOf(aws).find(({ runId }) => runId === started.runId);
  assert.equal(prepared?.outcome, 'succeeded', JSON.stringify(prepared));
  assert.deepEqual(prepared?.problems, []);
  assert.equal(prepared?.figures.mayBeUpgraded, 1);
  assert.equal(prepared?.figures.preparingRuns, 1);
  const collected = reportsOf(aws).filter(({ job }) => job === 'message-gc');
  assert.equal(collected.length, 1);
  assert.ok((collected[0]?.figures.messagesDeleted ?? 0) > 0);
  const left = await deployments.emea?.store?.count();
  assert.equal((left?.sent ?? 1) + (left?.read ?? 1), 0);
  assert.deepEqual(aws.denials, []);
  const { 'upgrade-check': ofUpgradeCheck } = runRecords(world);
  assert.ok(ofUpgradeCheck);
  assertDocumented({ 'upgrade-check': ofUpgradeCheck });

  assert.equal((await start('media-gc')).outcome, 'started');
  lambda.destroy();
  await clock.runUntil(START + 150 * MINUTE);
  const media = reportsOf(aws).find(({ job }) => job === 'media-gc');
  assert.equal(media?.outcome, 'succeeded', JSON.stringify(media));
  assert.deepEqual(
    [
      ...besideFormula(
        'upgrade-check',
        { containers: 3, services: 3 },
        measuredRun(aws, calls, 'emea-upgrade-check'),
      ),
      ...besideFormula('media-gc', {}, measuredRun(aws, calls, 'emea-media-gc')),
    ],
    [],
  );
});
