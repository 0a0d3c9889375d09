import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FAULTS } from '../../rehearsal/faults.ts';
import { playNight, type Scale } from '../../rehearsal/night.ts';
import { buildStage, type Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

test('a good night leaves no garbage, reports what SQL counts, and rings no alarm', async () => {
  const scale = { ...stage.scale, containers: 'few' as const };
  const { mismatches, rows, media } = await playNight({ ...stage, scale });
  assert.deepEqual(mismatches, []);
  assert.equal(rows.latam?.garbageBefore, 1_000);
  assert.equal(rows.emea?.deleted, 19_600);
  assert.equal(media.emea?.before.files, 200);
  assert.equal(media.emea?.after.files, 50);
});

for (const [name, fault] of Object.entries(FAULTS))
  test(`${name}: ${fault.description}`, async () => {
    const scale: Scale = { ...stage.scale, ...(fault.containers && { containers: 'few' }) };
    const { mismatches, runs } = await playNight({ ...stage, scale, fault, only: fault.deployment });
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
