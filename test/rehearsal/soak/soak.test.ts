import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RUN_CALLS } from '../../docs/run-calls.ts';
import { buildStage, type Stage } from '../stage.ts';
import { SOAK_FAULTS } from './faults.ts';
import { beginLife, DAY, NAME, type Size, SMALL } from './life.ts';
import { playMonth } from './month.ts';
import { soak } from './soak.ts';

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

/** Each day others; a day's failure names its seed, and SOAK_SEED plays that again. */
const SEED = process.env.SOAK_SEED ?? new Date().toISOString().slice(0, 10);

test(`in nights of faults that come together nothing is lost, doubled, leaked or left untold (seed ${SEED})`, async () => {
  const { violations, runs, faults } = await soak({ ...stage, seed: SEED, nights: 5 });
  assert.deepEqual(violations, []);
  assert.ok((runs.succeeded ?? 0) > 10, JSON.stringify(runs));
  assert.ok(Object.keys(faults).every((name) => name in SOAK_FAULTS));
});

/** A larger client: what grows with it shows. */
const LARGER: Size = { webapp: 4, coreapp: 6, master: 2, nodes: 4 };

test('each job asks of AWS what its formula says, for clients of two sizes', async () => {
  const wrong: string[] = [];
  for (const size of [SMALL, LARGER]) {
    const life = await beginLife({ ...stage, size });
    const { aws, clock } = life.world;
    const calls: Record<string, number> = {};
    aws.onCall(({ caller }) => {
      const name = caller.function?.name.slice(NAME.length + 1) ?? '';
      calls[name] = (calls[name] ?? 0) + 1;
      return undefined;
    });
    try {
      // The second night rotates nothing, and collects three times: of one size that says it all.
      for (const isFirst of size === SMALL ? [true, false] : [true]) {
        for (const name of Object.keys(calls)) calls[name] = 0;
        if (!isFirst) life.played.webApp.faults.failingRequests = 2;
        const before = aws.lambda.durable.list().length;
        await clock.runUntil(clock.now() + DAY);
        const runs = aws.lambda.durable.list().slice(before);
        const client = {
          containers: size.webapp + size.coreapp + size.master,
          services: 3,
          collections: isFirst ? 1 : 3,
        };
        for (const { arn, counted: operations, invocations } of runs) {
          const job = (arn.split(':')[6] ?? '').slice(NAME.length + 1);
          const formula = RUN_CALLS[job === 'credential-rotation' && isFirst ? `${job} that rotates` : job];
          assert.ok(formula, job);
          const measured = { calls: calls[job] ?? 0, operations, invocations };
          for (const [what, value] of Object.entries(measured)) {
            const most = formula[what as keyof typeof measured](client);
            if (value > most || value < most / 2)
              wrong.push(`${job} of ${JSON.stringify(client)}: ${value} ${what}, by its formula ${most}`);
          }
        }
        const starts = (calls['start-run'] ?? 0) / runs.length;
        const each = RUN_CALLS['start-run']?.calls(client) ?? 0;
        if (starts > each || starts < each / 2)
          wrong.push(`start-run: ${starts} calls, by its formula ${each}`);
      }
    } finally {
      await life.close();
    }
  }
  assert.deepEqual(wrong, []);
});

test('deployments of one account, whose nights are at the same hour, have one report of each run, in processes that do not grow', async () => {
  const { mismatches, runs, growth } = await playMonth({ deployments: 2, nights: 3, keepsProcesses: true });
  assert.deepEqual(mismatches, []);
  assert.equal(runs, 2 * 2 * 3);
  assert.ok((growth ?? 1) < 1.25, `grown by ${growth}`);
});
