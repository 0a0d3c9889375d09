import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Scale } from '../../rehearsal/clients.ts';
import { FAULTS } from '../../rehearsal/faults/faults.ts';
import { playNight } from '../../rehearsal/night.ts';
import { buildStage, type Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

test('a good night leaves no garbage, reports what SQL counts, rotates without a failed login, and rings no alarm', async (t) => {
  const scale: Scale = { ...stage.scale, containers: 'few', rotation: true };
  const mysql = await stage.startMysql();
  if (typeof mysql === 'string') t.diagnostic(`${mysql} It was played without the deployment on MySQL.`);
  const night = await playNight({ ...stage, scale, ...(typeof mysql !== 'string' && { mysql }) });
  assert.deepEqual(night.mismatches, []);
  assert.equal(night.rows.latam?.garbageBefore, 1_000);
  assert.equal(night.rows.emea?.deleted, 19_600);
  assert.equal(night.media.emea?.before.files, 200);
  assert.equal(night.media.emea?.after.files, 50);
  assert.deepEqual(
    night.logins.map(({ deployment, failed }) => `${deployment}: ${failed} failed`),
    ['emea: 0 failed', ...(typeof mysql === 'string' ? [] : ['apac: 0 failed'])],
  );
});

for (const [name, fault] of Object.entries(FAULTS))
  test(`${name}: ${fault.description}`, async (t) => {
    const mysql = fault.deployment === 'apac' ? await stage.startMysql() : undefined;
    if (typeof mysql === 'string') return t.skip(mysql);
    const scale: Scale = { ...stage.scale, containers: 'few', rotation: true };
    const { mismatches, runs } = await playNight({ ...stage, mysql, scale, fault, only: fault.deployment });
    assert.deepEqual(mismatches, [], JSON.stringify(runs));
  });

test('a weekly success in its hours keeps the alarm quiet that looks for it, once that is no longer new', async () => {
  const { mismatches } = await playNight({
    ...stage,
    only: 'emea',
    fault: {
      description: 'Nothing',
      deployment: 'emea',
      starts: Date.parse('2026-11-29T09:00:00Z'),
      strike() {},
      expected: { outcomes: {}, alarms: [] },
      lasts: 24 * 3600 * 1000,
    },
  });
  assert.deepEqual(mismatches, []);
});
