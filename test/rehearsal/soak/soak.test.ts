import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { besideFormula, countCalls } from '../calls-of-runs.ts';
import { buildStage, type Stage } from '../stage.ts';
import { SOAK_FAULTS } from './faults.ts';
import { beginLife, DAY, type Life, NAME, SMALL } from './life.ts';
import { playMonth } from './month.ts';
import { soak } from './soak.ts';

const ROLES = ['webapp', 'coreapp', 'master'] as const;

let stage: Stage;
/** All its nights are those of one deployment, which takes longest to begin. */
let life: Life;
before(async () => {
  stage = await buildStage();
  life = await beginLife(stage);
});
after(async () => {
  await life.close();
  await stage.close();
});

/** A client that grows after its first night; whose second one rotates nothing, and collects three times. */
const LARGER = { webapp: 4, coreapp: 6, master: 2 };
const NIGHTS = [
  { size: SMALL, rotates: true, collections: 1 },
  { size: LARGER, rotates: false, collections: 3 },
  { size: LARGER, rotates: true, collections: 1 },
];

test('each job asks of AWS what its formula says, for clients of two sizes', async () => {
  const wrong: string[] = [];
  const { aws, clock } = life.world;
  const calls = countCalls(aws);
  for (const { size, rotates, collections } of NIGHTS) {
    for (const role of ROLES) life.scale(role, size[role]);
    life.played.webApp.faults.failingRequests = collections - 1;
    calls.clear();
    const before = aws.lambda.durable.list().length;
    const end = clock.now() + DAY;
    const due = aws.scheduler.upcoming(1).filter(({ times: [time = end] }) => time < end);
    await clock.runUntil(end);
    const runs = aws.lambda.durable.list().slice(before);
    assert.equal(runs.length, due.length);
    const containers = size.webapp + size.coreapp + size.master;
    const client = { containers, oneByOne: size.coreapp, services: 3, collections };
    for (const { arn, counted: operations, invocations } of runs) {
      const name = arn.split(':')[6] ?? '';
      const job = name.slice(NAME.length + 1);
      const formula = job === 'credential-rotation' && rotates ? `${job} that rotates` : job;
      wrong.push(...besideFormula(formula, client, { calls: calls.get(name) ?? 0, operations, invocations }));
    }
    const starts = (calls.get(`${NAME}-start-run`) ?? 0) / runs.length;
    wrong.push(...besideFormula('start-run', client, { calls: starts }));
  }
  for (const role of ROLES) life.scale(role, SMALL[role]);
  assert.deepEqual(wrong, []);
});

/** That of a failure in `npm run bench soak` plays its first nights here, in a life of their own as there. */
const { SOAK_SEED: given } = process.env;
const SEED = given ?? 'upkeep 8';

test(`in nights of faults that come together nothing is lost, doubled, leaked or left untold (seed ${SEED})`, async () => {
  const { violations, runs, faults } = await soak({
    ...stage,
    ...(given === undefined && { life }),
    seed: SEED,
    nights: 4,
  });
  assert.deepEqual(violations, []);
  assert.ok((runs.succeeded ?? 0) > 10, JSON.stringify(runs));
  assert.ok(Object.keys(faults).length >= 6, JSON.stringify(faults));
  assert.ok(Object.keys(faults).every((name) => name in SOAK_FAULTS));
});

test('deployments of one account, whose nights are at the same hour, have one report of each run, in processes that do not grow', async () => {
  const { mismatches, runs, growth } = await playMonth({ deployments: 2, nights: 3, keepsProcesses: true });
  assert.deepEqual(mismatches, []);
  assert.equal(runs, 2 * 2 * 3);
  assert.ok((growth ?? 1) < 1.25, `grown by ${growth}`);
});
