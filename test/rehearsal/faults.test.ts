import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Scale } from '../../rehearsal/clients.ts';
import type { Fault } from '../../rehearsal/faults/fault.ts';
import { FAULTS } from '../../rehearsal/faults/faults.ts';
import { playNight } from '../../rehearsal/night.ts';
import { assertDocumented, runRecords } from './run-records.ts';
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
  let records: ReturnType<typeof runRecords> = {};
  const night = await playNight({
    ...stage,
    scale,
    ...(typeof mysql !== 'string' && { mysql }),
    onEnd(world) {
      records = runRecords(world);
    },
  });
  assert.deepEqual(night.mismatches, []);
  assert.equal(night.rows.latam?.garbageBefore, 1_000);
  assert.equal(night.rows.emea?.deleted, 19_600);
  assert.equal(night.media.emea?.before.files, 200);
  assert.equal(night.media.emea?.after.files, 50);
  assert.deepEqual(
    night.logins.map(({ deployment, failed }) => `${deployment}: ${failed} failed`),
    ['emea: 0 failed', ...(typeof mysql === 'string' ? [] : ['apac: 0 failed'])],
  );
  assertDocumented(records);
});

/** Faults of one deployment that strike different containers: played in one night here, each in its own by its name. */
const TOGETHER = [
  'agent-stopped',
  'websocket-cut',
  'session-messages-lost',
  'agent-connects-late',
  'no-shell',
  'run-folder-full',
];

/** One fault that does what all of them do, and of which must come what must come of each. */
function together(faults: Fault[]): Fault {
  const [first] = faults;
  assert.ok(first);
  return {
    ...first,
    description: faults.map(({ description }) => description).join('; '),
    async strike(...given) {
      for (const fault of faults) await fault.strike(...given);
    },
    expected: {
      outcomes: Object.assign({}, ...faults.map(({ expected }) => expected.outcomes)),
      alarms: [...new Set(faults.flatMap(({ expected }) => expected.alarms))],
    },
  };
}

const nights = Object.entries(FAULTS).filter(([name]) => !TOGETHER.includes(name));
nights.push([TOGETHER.join(', '), together(TOGETHER.flatMap((name) => FAULTS[name] ?? []))]);

for (const [name, fault] of nights)
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
