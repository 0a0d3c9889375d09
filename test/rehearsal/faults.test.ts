import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Scale } from '../../rehearsal/clients.ts';
import { CONTAINERS_FAULTS } from '../../rehearsal/faults/containers.ts';
import type { Fault } from '../../rehearsal/faults/fault.ts';
import { FAULTS } from '../../rehearsal/faults/faults.ts';
import { playNight } from '../../rehearsal/night.ts';
import { runRecords } from './run-records.ts';
import { buildStage, type Stage } from './stage.ts';

const DOCUMENTED = readFileSync('docs/operations.md', 'utf8').split('\n');

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
  // docs/operations.md says of each job what its runs leave on record in this night, at most.
  for (const [job, record] of Object.entries(records)) {
    const row = DOCUMENTED.find((line) => line.startsWith(`| ${job} |`));
    const [operations = 0, largest = 0, longestName = 0] = (row ?? '').split('|').slice(2, 5).map(Number);
    assert.ok(
      record.operations <= operations && record.largest <= largest && record.longestName <= longestName,
      `${job}: ${JSON.stringify(record)}, documented ${row}`,
    );
    // A table that says much more than there is would be none.
    assert.ok(operations <= 2 * record.operations, `${job}: ${JSON.stringify(record)}, documented ${row}`);
  }
});

/** Faults of one deployment that strike different containers: played in one night here, each in its own by its name. */
const TOGETHER = [
  'websocket-cut',
  'session-messages-lost',
  'agent-connects-late',
  ...Object.keys(CONTAINERS_FAULTS),
].filter((name) => FAULTS[name]?.unavailable?.() === undefined);

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
      problems: faults.flatMap(({ expected }) => expected.problems ?? []),
    },
  };
}

const nights = Object.entries(FAULTS).filter(([name]) => !TOGETHER.includes(name));
nights.push([TOGETHER.join(', '), together(TOGETHER.flatMap((name) => FAULTS[name] ?? []))]);

for (const [name, fault] of nights)
  test(`${name}: ${fault.description}`, async (t) => {
    const mysql = fault.deployment === 'apac' ? await stage.startMysql() : undefined;
    if (typeof mysql === 'string') return t.skip(mysql);
    const unavailable = fault.unavailable?.();
    if (unavailable !== undefined) return t.skip(unavailable);
    const scale: Scale = {
      ...stage.scale,
      containers: name.includes(', ') ? 'several' : 'few',
      rotation: true,
    };
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
