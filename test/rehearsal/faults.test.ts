import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Scale } from '../../rehearsal/clients.ts';
import type { Fault } from '../../rehearsal/faults/fault.ts';
import { FAULTS } from '../../rehearsal/faults/faults.ts';
import { playNight } from '../../rehearsal/night.ts';
import { mismatchesOfFault, type Night } from '../../rehearsal/night-checks.ts';
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

/** Played in one night each, at the same hour: they strike different deployments and jobs, or come to the same. */
const NIGHTS = [
  ['password-misread', 'callback-twice', 'database-user-locked-out', 'wrong-password', 'cleanup-fails'],
  [
    'user-misread',
    'function-killed',
    'media-volume-too-large',
    'callback-never-comes',
    'instance-unreachable',
  ],
  [
    'database-away',
    'callback-of-unknown-node',
    'media-gc-beside-message-gc',
    'backup-too-old',
    'webapp-down',
    'password-misread-on-mysql',
  ],
  [
    'agent-stopped',
    'websocket-cut',
    'session-messages-lost',
    'agent-connects-late',
    'no-shell',
    'run-folder-full',
    'node-replaced',
    'too-many-messages',
    'run-poisoned',
  ],
  ['coreapp-dies', 'webhook-down-behind-relay', 'function-does-not-start', 'database-read-only'],
  ['relay-without-bus', 'run-stopped'],
  ['wrong-certificate', 'token-expires', 'scheduled-twice'],
  ['webapp-restarts', 'coreapp-unreachable'],
  ['media-needs-several-calls', 'start-run-fails'],
  ['media-undeletable', 'start-run-fails-at-first', 'function-killed-while-asking'],
  ['media-volume-read-only', 'marking-cut', 'callback-failed-then-success'],
  ['cut-at-random', 'malformed-notification', 'first-deploy-failed'],
  // A day and a half.
  [
    'service-never-steady',
    'schedule-never-fires',
    'delivered-late',
    'password-copy-overwritten',
    'second-password-by-hand',
  ],
  ['gc-does-nothing'],
  ['weekly-schedule-never-fires'],
];

test('each fault is played', () => {
  assert.deepEqual(NIGHTS.flat().sort(), Object.keys(FAULTS).sort());
});

for (const names of NIGHTS)
  describe(`in the night of ${names.join(', ')}`, () => {
    const faults = new Map<string, Fault>();
    for (const name of names) {
      const fault = FAULTS[name];
      assert.ok(fault, name);
      faults.set(name, fault);
    }
    let night: Night;
    let withoutMysql: string | undefined;
    before(async () => {
      const isOnMysql = ({ deployment }: Fault) => deployment === 'apac';
      const mysql = [...faults.values()].some(isOnMysql) ? await stage.startMysql() : undefined;
      if (typeof mysql === 'string') withoutMysql = mysql;
      const played = [...faults.values()].filter((fault) => typeof mysql !== 'string' || !isOnMysql(fault));
      night = await playNight({
        ...stage,
        ...(typeof mysql !== 'string' && { mysql }),
        scale: { ...stage.scale, containers: 'few', rotation: true },
        faults: played,
        only: played.map(({ deployment }) => deployment),
      });
    });

    for (const [name, fault] of faults)
      test(`${name}: ${fault.description}`, (t) => {
        if (withoutMysql !== undefined && fault.deployment === 'apac') return t.skip(withoutMysql);
        assert.deepEqual(mismatchesOfFault(night, fault), [], JSON.stringify(night.runs));
      });

    test('nothing else goes wrong', () => {
      assert.deepEqual(night.mismatches, [], JSON.stringify(night.runs));
    });
  });

test('a weekly success in its hours keeps the alarm quiet that looks for it, once that is no longer new', async () => {
  const { mismatches } = await playNight({
    ...stage,
    only: ['emea'],
    jobs: ['media-gc'],
    faults: [
      {
        description: 'Nothing',
        deployment: 'emea',
        starts: Date.parse('2026-11-29T09:00:00Z'),
        strike() {},
        expected: { outcomes: {}, alarms: [] },
        lasts: 24 * 3600 * 1000,
      },
    ],
  });
  assert.deepEqual(mismatches, []);
});
