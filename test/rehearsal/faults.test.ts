import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Scale } from '../../rehearsal/clients.ts';
import { CONTAINERS_FAULTS } from '../../rehearsal/faults/containers.ts';
import type { AnyFault } from '../../rehearsal/faults/fault.ts';
import { FAULTS } from '../../rehearsal/faults/faults.ts';
import { MISREAD_CREDENTIALS_FAULTS } from '../../rehearsal/faults/misread-credentials.ts';
import { playNight, timesOf } from '../../rehearsal/night.ts';
import { mismatchesOfFault, type Night } from '../../rehearsal/night-checks.ts';
import { nightPage } from '../../rehearsal/picture/page.ts';
import { type Recording, record } from '../../rehearsal/picture/recording.ts';
import { synthesizeShop } from '../../rehearsal/shop/synthesize.ts';
import { assertDashboards } from './assert-dashboards.ts';
import { assertNightPage } from './picture/assert-night-page.ts';
import { startBrowser } from './picture/browser.ts';
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
  // Fetched, if need be, while the night goes on.
  const starting = startBrowser();
  // Why there is none is told where it is waited for.
  starting.catch(() => {});
  // It would keep this process from ending, whatever becomes of the night.
  t.after(async () => {
    const browser = await starting.catch(() => 'no browser');
    if (typeof browser !== 'string') await browser.close();
  });
  let records: ReturnType<typeof runRecords> = {};
  let recorded: ((night: Night) => Recording) | undefined;
  let recording: Recording | undefined;
  const night = await playNight({
    ...stage,
    scale,
    shop: await synthesizeShop(),
    ...(typeof mysql !== 'string' && { mysql }),
    onBegin(world) {
      recorded = record(world);
    },
    onEnd(world, night) {
      records = runRecords(world);
      recording = recorded?.(night);
      assertDashboards(world, night);
    },
  });
  assert.deepEqual(night.mismatches, []);
  assert.equal(night.rows.latam?.garbageBefore, 1_000);
  assert.equal(night.rows.emea?.deleted, 19_600);
  assert.equal(night.media.emea?.before.files, 200);
  assert.equal(night.media.emea?.after.files, 50);
  assert.deepEqual(
    night.logins.map(({ deployment, failed }) => `${deployment}: ${failed} failed`),
    [
      'emea: 0 failed',
      ...(typeof mysql === 'string' ? [] : ['apac: 0 failed']),
      'shop, orders: 0 failed',
      'shop, stock: 0 failed',
    ],
  );
  assertDocumented(records);
  await t.test(
    'and is a page whose figures are those of the reports, on a screen and on a phone',
    async (t) => {
      const browser = await starting;
      if (typeof browser === 'string') return t.skip(browser);
      assert.ok(recording);
      await assertNightPage(browser, await nightPage({ night, recording, faults: [] }), night);
    },
  );
});

/** Played in one night each, at the same hour: they strike different deployments and jobs, or come to the same. */
const NIGHTS = [
  [
    'password-misread',
    'callback-twice',
    'database-user-locked-out',
    'wrong-password',
    'cleanup-fails',
    'logs-lost-on-full-disk',
  ],
  [
    'user-misread-by-masters',
    'password-misread-on-mariadb',
    'function-killed',
    'media-volume-too-large',
    'callback-never-comes',
    'instance-unreachable',
    'log-bucket-refuses',
  ],
  [
    'database-away',
    'callback-of-unknown-node',
    'media-gc-beside-message-gc',
    'backup-too-old',
    'webapp-down',
    'killed-while-reporting',
    'old-credential-read-by-masters-on-mysql',
  ],
  [
    // Each in a container of its own.
    ...Object.keys(CONTAINERS_FAULTS),
    'websocket-cut',
    'session-messages-lost',
    'agent-connects-late',
    'node-replaced',
    'too-many-messages',
    'run-poisoned',
  ],
  [
    'coreapp-dies',
    'webhook-down-behind-relay',
    'function-does-not-start',
    'database-read-only',
    'old-user-on-replica',
    'log-upload-breaks',
    'earlier-task-stopping',
  ],
  [
    'relay-without-bus',
    'run-stopped',
    'report-poisoned',
    'pooler-before-database',
    'command-out-of-memory',
    'command-loses-its-container',
  ],
  ['wrong-certificate', 'token-expires', 'scheduled-twice', 'no-capacity'],
  [
    'webapp-restarts',
    'coreapp-unreachable',
    'runs-poisoned',
    'logins-not-shown',
    'second-password-unproven',
    'key-pinned',
    'image-not-pulled',
    'chosen-container-goes-away',
  ],
  ['media-needs-several-calls', 'settings-drift', 'window-no-longer-quiet', 'task-not-told-of'],
  [
    'media-undeletable',
    'start-run-fails-at-first',
    'function-killed-while-asking',
    'settings-refused',
    'command-past-its-time',
  ],
  [
    'media-volume-read-only',
    'earlier-task-never-ends',
    'step-cut-by-timeout',
    'callback-failed-then-success',
    'administrator-locked-out',
  ],
  ['cut-at-random', 'malformed-notification', 'first-deploy-failed', 'command-stopped-by-hand'],
  // A day and a half.
  [
    'service-never-steady',
    'schedule-never-fires',
    'start-run-fails',
    'delivered-late',
    'password-copy-overwritten',
    'second-password-by-hand',
    'second-password-misread',
    'certificate-unusable',
  ],
  ['gc-does-nothing'],
  ['weekly-schedule-never-fires'],
];

/**
 * Credentials that are misread in another way, by others or on another engine than in a night here: that is for the table of
 * functions/credential-rotation/proof.test.ts, on each engine. README.md says which were played by their command.
 */
const PLAYED_BY_COMMAND = Object.keys(MISREAD_CREDENTIALS_FAULTS).filter(
  (name) => !NIGHTS.flat().includes(name),
);

test('each fault is played, and those of a night can be', () => {
  for (const names of NIGHTS) timesOf(names.flatMap((name) => FAULTS[name] ?? []));
  assert.deepEqual([...NIGHTS.flat(), ...PLAYED_BY_COMMAND].sort(), Object.keys(FAULTS).sort());
  const misread = NIGHTS.flat().filter((name) => name in MISREAD_CREDENTIALS_FAULTS);
  for (const each of [/^password-/, /^user-/, /^old-/, /-by-masters/, /-on-mysql$/, /-on-mariadb$/])
    assert.ok(
      misread.some((name) => each.test(name)),
      String(each),
    );
});

/** The night with this fault is drawn, too. */
const DRAWN = 'media-undeletable';

for (const names of NIGHTS)
  describe(`in the night of ${names.join(', ')}`, () => {
    const faults = new Map<string, AnyFault>();
    for (const name of names) {
      const fault = FAULTS[name];
      assert.ok(fault, name);
      faults.set(name, fault);
    }
    let night: Night;
    let recording: Recording | undefined;
    let withoutMysql: string | undefined;
    before(async () => {
      let recorded: ((night: Night) => Recording) | undefined;
      const isOnMysql = ({ deployment }: AnyFault) => deployment === 'apac';
      const [first, ...others] = [...faults.values()].filter(isOnMysql);
      assert.ok(
        others.every(({ engine }) => engine === first?.engine),
        'of one engine',
      );
      const mysql = first && (await stage.startMysql(first.engine));
      if (typeof mysql === 'string') withoutMysql = mysql;
      const played = [...faults.values()].filter(
        (fault) => (typeof mysql !== 'string' || !isOnMysql(fault)) && fault.unavailable?.() === undefined,
      );
      const containers = names.some((name) => name in CONTAINERS_FAULTS) ? 'several' : 'few';
      night = await playNight({
        ...stage,
        ...(typeof mysql !== 'string' && { mysql }),
        scale: { ...stage.scale, containers, rotation: true },
        faults: played,
        only: played.map(({ deployment }) => deployment),
        ...(played.some(({ deployment }) => deployment === 'shop') && { shop: await synthesizeShop() }),
        ...(names.includes(DRAWN) && {
          onBegin(world) {
            recorded = record(world);
          },
          onEnd(_world, ended) {
            recording = recorded?.(ended);
          },
        }),
      });
    });

    if (names.includes(DRAWN))
      test('the page shows which run went wrong, which alarms rang and when, and says so at its head', async () => {
        assert.ok(recording);
        const descriptions = [...faults.values()].map(({ description }) => description);
        const page = await nightPage({ night, recording, faults: descriptions });
        assert.match(page, /<h1>A night in which something went wrong, /);
        for (const each of descriptions) assert.ok(page.includes(each.replaceAll("'", '&#39;')), each);
        assert.ok(night.alarms.length > 0);
        for (const { name } of night.alarms) assert.ok(page.includes(`<th scope="row">${name}</th>`), name);
        for (const { runId, outcome } of night.runs)
          assert.match(page, new RegExp(`data-run="${runId}"[^]*?class="outcome[^>]*>${outcome}<`), runId);
        assert.ok(night.runs.some(({ outcome }) => outcome !== 'succeeded'));
      });

    for (const [name, fault] of faults)
      test(`${name}: ${fault.description}`, (t) => {
        if (withoutMysql !== undefined && fault.deployment === 'apac') return t.skip(withoutMysql);
        const unavailable = fault.unavailable?.();
        if (unavailable !== undefined) return t.skip(unavailable);
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
