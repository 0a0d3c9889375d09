import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { MINUTE } from '../../rehearsal/aws/deploy.ts';
import {
  ALL_YES,
  answers,
  type Checked,
  type ClientDatabase,
  checkedDeployment,
  startClientDatabase,
  WINDOW,
} from './upgrade-check.ts';

let database: ClientDatabase;
before(async () => {
  database = await startClientDatabase();
});
after(() => database.server.stop());

/** So many messages, of which each garbage collection deletes some. */
async function messages(rows: number, perRun: number): Promise<void> {
  await database.fill('messages', rows);
  await database.run(`UPDATE garbage SET per_run = ${perRun}, outcome = 'succeeded'`);
}

function collections({ aws }: Checked): RunReport[] {
  return reportsOf(aws).filter(({ job }) => job === 'message-gc');
}

function preparedRuns({ details }: RunReport): string[] {
  return (details as { runs: { runId: string }[] }).runs.map(({ runId }) => runId);
}

describe('preparing an upgrade, on a real PostgreSQL', () => {
  it('has garbage collected twice where that is what it takes, though its process is killed meanwhile', () =>
    checkedDeployment(database, async (checked) => {
      const { aws, clock, freeSpace, start, report } = checked;
      await messages(26_000, 5_000);
      await clock.runUntil(WINDOW + 5 * MINUTE);
      freeSpace(5e9);
      const { runId } = await start('upgrade-check', { prepare: true });
      await clock.runUntil(clock.now() + 8 * MINUTE);
      aws.killFunction('shop-upgrade-check');
      const prepared = await report(runId);
      assert.deepEqual(answers(prepared), ALL_YES);
      assert.equal(prepared.outcome, 'succeeded');
      assert.deepEqual(prepared.problems, []);
      assert.equal(prepared.figures.mayBeUpgraded, 1);
      assert.equal(prepared.figures.preparingRuns, 2);
      assert.deepEqual(
        collections(checked).map((collected) => [collected.runId, collected.figures.messagesDeleted]),
        preparedRuns(prepared).map((collected) => [collected, 5_000]),
      );
      assert.deepEqual(aws.denials, []);
    }));

  it('begins nothing outside the downtime window, and says so', () =>
    checkedDeployment(database, async (checked) => {
      await messages(100, 0);
      checked.freeSpace(5e9);
      const report = await checked.check({ prepare: true });
      assert.equal(report.outcome, 'partial');
      assert.match(
        report.problems[0]?.what ?? '',
        /asked for outside the downtime window, where nothing is begun/,
      );
      assert.deepEqual(answers(report), { ...ALL_YES, 'last garbage collection': 'no' });
      assert.deepEqual(collections(checked), []);
    }));

  it('needs no garbage collection where all is well already, at any time', () =>
    checkedDeployment(database, async (checked) => {
      const { clock, collect, freeSpace, check } = checked;
      await messages(100, 0);
      await clock.runUntil(WINDOW + 170 * MINUTE);
      await collect();
      freeSpace(5e9);
      await clock.runUntil(WINDOW + 200 * MINUTE);
      const report = await check({ prepare: true });
      assert.equal(report.outcome, 'succeeded');
      assert.equal(report.figures.preparingRuns, 0);
      assert.equal(collections(checked).length, 1);
    }));

  it('gives up, and rings, when two runs in a row change nothing', () =>
    checkedDeployment(database, async (checked) => {
      const { aws, clock, freeSpace, check } = checked;
      await messages(26_000, 0);
      await clock.runUntil(WINDOW + 5 * MINUTE);
      freeSpace(5e9);
      const report = await check({ prepare: true });
      assert.equal(report.outcome, 'partial');
      assert.equal(report.figures.preparingRuns, 2);
      assert.match(
        report.problems[0]?.what ?? '',
        /2 runs of message-gc in a row made the tables smaller by less than 2 %/,
      );
      assert.match(report.problems[1]?.what ?? '', /^messages has at least 21,/);
      await clock.runUntil(clock.now() + 10 * MINUTE);
      assert.ok(aws.alarms.some(({ alarm, to }) => alarm === 'shop-upgrade-check-partial' && to === 'ALARM'));
    }));

  it('collects no garbage where something else is between the deployment and its upgrade', () =>
    checkedDeployment(database, async (checked) => {
      await messages(26_000, 10_000);
      await checked.clock.runUntil(WINDOW + 5 * MINUTE);
      // CloudWatch tells no free space.
      const report = await checked.check({ prepare: true });
      assert.equal(report.outcome, 'partial');
      assert.match(report.problems[0]?.what ?? '', /not mended by garbage collection: free space\.$/);
      assert.deepEqual(collections(checked), []);
    }));

  it('waits for a garbage collection that goes on already, and is itself there once', () =>
    checkedDeployment(database, async (checked) => {
      const { clock, freeSpace, start, report } = checked;
      await messages(26_000, 12_000);
      await clock.runUntil(WINDOW + 5 * MINUTE);
      freeSpace(5e9);
      const going = await start('message-gc');
      await clock.runUntil(clock.now() + 2 * MINUTE);
      const { runId } = await start('upgrade-check', { prepare: true });
      await clock.runUntil(clock.now() + 2 * MINUTE);
      const second = await start('upgrade-check');
      assert.equal(second.outcome, 'skipped');
      assert.match(
        second.outcome === 'skipped' ? second.reason : '',
        new RegExp(`^The run ${runId} is still going on`),
      );
      const prepared = await report(runId);
      assert.equal(prepared.figures.mayBeUpgraded, 1);
      assert.deepEqual(preparedRuns(prepared), [going.runId]);
      assert.equal(collections(checked).length, 1);
    }));

  it('waits for what garbage collection must not meet', () =>
    checkedDeployment(database, async (checked) => {
      const { clock, freeSpace, start, report } = checked;
      await messages(26_000, 12_000);
      await clock.runUntil(WINDOW + 5 * MINUTE);
      freeSpace(5e9);
      // It, too, deletes in the place of the other.
      const other = await start('media-gc');
      await clock.runUntil(clock.now() + 2 * MINUTE);
      const { runId } = await start('upgrade-check', { prepare: true });
      const prepared = await report(runId);
      assert.equal(prepared.figures.mayBeUpgraded, 1);
      const [skipped, collected] = collections(checked);
      assert.match(skipped?.problems[0]?.what ?? '', new RegExp(`^The run ${other.runId} is still going on`));
      assert.deepEqual(preparedRuns(prepared), [collected?.runId]);
    }));

  it('says that it may not start garbage collection, where it may not', () =>
    checkedDeployment(
      database,
      async ({ clock, freeSpace, check }) => {
        await messages(100, 0);
        await clock.runUntil(WINDOW + 5 * MINUTE);
        freeSpace(5e9);
        const report = await check({ prepare: true });
        assert.equal(report.outcome, 'partial');
        // By the same right start-run is asked which runs go on, which comes first.
        const { criteria } = report.details as { criteria: { criterion: string; what: string }[] };
        assert.match(
          criteria.find(({ criterion }) => criterion === 'other runs')?.what ?? '',
          /not authorized to perform: lambda:InvokeFunction/,
        );
        assert.equal(report.figures.preparingRuns, 0);
      },
      { without: 'lambda:InvokeFunction' },
    ));

  it('begins no run that the end of the window would cut off', () =>
    checkedDeployment(database, async (checked) => {
      const { clock, freeSpace, check } = checked;
      await messages(26_000, 1_000);
      await clock.runUntil(WINDOW + 155 * MINUTE);
      freeSpace(5e9);
      const report = await check({ prepare: true });
      assert.equal(report.outcome, 'partial');
      assert.equal(report.figures.preparingRuns, 1);
      assert.match(
        report.problems[0]?.what ?? '',
        /The downtime window ends too soon for another run of message-gc/,
      );
    }));
});
