import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { besideFormula, countCalls } from '../calls-of-runs.ts';
import { buildStage, type Stage } from '../stage.ts';
import { SOAK_FAULTS } from './faults.ts';
import { beginLife, DAY, NAME, SMALL } from './life.ts';
import { playMonth } from './month.ts';
import { soak } from './soak.ts';

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

/** `npm run bench soak` draws others, and names that of a failure: SOAK_SEED plays its first nights here. */
const { SOAK_SEED: SEED = 'upkeep' } = process.env;

test(`in nights of faults that come together nothing is lost, doubled, leaked or left untold (seed ${SEED})`, async () => {
  const { violations, runs, faults } = await soak({ ...stage, seed: SEED, nights: 4 });
  assert.deepEqual(violations, []);
  assert.ok((runs.succeeded ?? 0) > 10, JSON.stringify(runs));
  assert.ok(Object.keys(faults).every((name) => name in SOAK_FAULTS));
});

/** A client that grows after its first night; whose second one rotates nothing, and collects three times. */
const NIGHTS = [
  { size: SMALL, rotates: true, collections: 1 },
  { size: { webapp: 4, coreapp: 6, master: 2 }, rotates: false, collections: 3 },
  { size: { webapp: 4, coreapp: 6, master: 2 }, rotates: true, collections: 1 },
];

test('each job asks of AWS what its formula says, for clients of two sizes', async () => {
  const wrong: string[] = [];
  const life = await beginLife(stage);
  const { aws, clock } = life.world;
  const calls = countCalls(aws);
  try {
    for (const { size, rotates, collections } of NIGHTS) {
      for (const role of ['webapp', 'coreapp', 'master'] as const) life.scale(role, size[role]);
      life.played.webApp.faults.failingRequests = collections - 1;
      calls.clear();
      const before = aws.lambda.durable.list().length;
      await clock.runUntil(clock.now() + DAY);
      const runs = aws.lambda.durable.list().slice(before);
      assert.equal(runs.length, 4);
      const containers = size.webapp + size.coreapp + size.master;
      const client = { containers, oneByOne: size.coreapp, services: 3, collections };
      for (const { arn, counted: operations, invocations } of runs) {
        const name = arn.split(':')[6] ?? '';
        const job = name.slice(NAME.length + 1);
        const formula = job === 'credential-rotation' && rotates ? `${job} that rotates` : job;
        wrong.push(
          ...besideFormula(formula, client, { calls: calls.get(name) ?? 0, operations, invocations }),
        );
      }
      const starts = (calls.get(`${NAME}-start-run`) ?? 0) / runs.length;
      wrong.push(...besideFormula('start-run', client, { calls: starts }));
    }
  } finally {
    await life.close();
  }
  assert.deepEqual(wrong, []);
});

test('deployments of one account, whose nights are at the same hour, have one report of each run, in processes that do not grow', async () => {
  const { mismatches, runs, growth } = await playMonth({ deployments: 2, nights: 3, keepsProcesses: true });
  assert.deepEqual(mismatches, []);
  assert.equal(runs, 2 * 2 * 3);
  assert.ok((growth ?? 1) < 1.25, `grown by ${growth}`);
});
