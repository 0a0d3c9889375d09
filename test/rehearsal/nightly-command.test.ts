import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { nightlyCommand } from '../../examples/nightly-command.ts';
import { simulatedClock } from '../../rehearsal/aws/clock.ts';
import { Container } from '../../rehearsal/aws/containers/container.ts';
import { type Aws, startAws } from '../../rehearsal/aws/server.ts';
import { functionNamed } from '../../rehearsal/deployed-functions.ts';
import { cutAtRandom } from '../../rehearsal/faults/random-cuts.ts';
import { seedOfTheDay } from '../../rehearsal/faults/runs.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { besideFormula, countCalls, measuredRun } from './calls-of-runs.ts';
import { assertDocumented, runRecords } from './run-records.ts';

/** Plays the example's night, in containers whose program does what the script says. */
async function play(
  script: string,
  check: (aws: Aws, containers: Container[]) => void,
  prepare = (_: Aws) => {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'nightly-command-'));
  const start = Date.parse('2027-01-10T23:00:00Z');
  const clock = simulatedClock(start, folder);
  const containers: Container[] = [];
  try {
    const app = new App({ outdir: join(folder, 'cdk.out'), analyticsReporting: false });
    const { account, region } = nightlyCommand(app);
    const aws = await startAws({
      cdkOut: app.synth().directory,
      clock,
      sessions: { timing: { readingDelay: 50 } },
    });
    try {
      for (const service of ['storefront', 'storefront', 'checkout']) {
        const container = await Container.start({
          name: 'app',
          folder: join(folder, `app-${containers.length}`),
          environment: { SERVICE: service },
        });
        containers.push(container);
        const program = container.path('/srv/prune-sessions');
        writeFileSync(program, `#!/bin/sh\n${script}\n`);
        chmodSync(program, 0o755);
        aws.ecs.addTask({ account, region, cluster: 'shop', service, containers: [container] });
      }
      prepare(aws);
      await clock.runUntil(start + 4 * 60 * 60 * 1000);
      check(aws, containers);
      assert.deepEqual(aws.denials, []);
    } finally {
      await aws.close();
    }
  } finally {
    await Promise.all(containers.map((container) => container.remove()));
    clock.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

test('the example runs its command in each container of a web service, with its arguments, and reports the failed one', () => {
  let calls = new Map<string, number>();
  const script = 'echo pruned; printf "%s|" "$@" >/srv/arguments; [ $SERVICE = storefront ]';
  const count = (aws: Aws) => {
    calls = countCalls(aws);
  };
  return play(
    script,
    (aws, containers) => {
      const [report] = reportsOf(aws);
      assert.equal(report?.outcome, 'partial');
      const { containersSucceeded, containersFailed, containersFailedWeb } = report.figures;
      assert.deepEqual([containersSucceeded, containersFailed, containersFailedWeb], [2, 1, 1]);
      assert.match(
        report.problems[0]?.where ?? '',
        /^shop, service checkout, task [0-9a-f]{32}, container app$/,
      );
      assert.equal(report.problems[0]?.what, 'The command ended with exit code 1. It last said: pruned');
      const { containers: details } = report.details as {
        containers: { exitCode: number; output: string }[];
      };
      assert.deepEqual(
        details.map(({ exitCode, output }) => [exitCode, output]),
        [1, 0, 0].map((code) => [code, 'pruned\n']),
        'keepOutput: of those too in which it ended well',
      );
      const { 'prune-sessions': ofCommand } = runRecords({ aws });
      assert.ok(ofCommand);
      assertDocumented({ 'run-in-containers': ofCommand });
      for (const container of containers)
        assert.equal(readFileSync(container.path('/srv/arguments'), 'utf8'), '--older-than|30 days|');
      assert.ok(
        aws.alarms.some(({ alarm, to }) => alarm === 'shop-prune-sessions-partial' && to === 'ALARM'),
      );
      const measured = measuredRun(aws, calls, 'shop-prune-sessions');
      assert.deepEqual(besideFormula('run-in-containers', { containers: 3, services: 2 }, measured), []);
    },
    count,
  );
});

test('a function that dies in the middle of its run, and at a random moment besides, starts no command a second time, and learns how each ended', () => {
  let killed = 0;
  let cuts = new Map<string, number>();
  return play(
    'echo started >>/srv/starts; sleep 3',
    (aws, containers) => {
      assert.ok(killed > 0, 'the function was not killed');
      assert.equal(cuts.get('shop-prune-sessions'), 2, 'once at random, and once at its report');
      assert.equal(reportsOf(aws)[0]?.outcome, 'succeeded', JSON.stringify(reportsOf(aws)));
      for (const container of containers)
        assert.equal(readFileSync(container.path('/srv/starts'), 'utf8'), 'started\n');
    },
    (aws) => {
      cuts = cutAtRandom(aws, { functions: ['shop-prune-sessions'], seed: seedOfTheDay(), cuts: 1 });
      const stop = aws.onCall(({ operation }) => {
        if (operation !== 'ExecuteCommand') return undefined;
        stop();
        setTimeout(() => {
          killed = aws.killFunction('shop-prune-sessions');
        }, 1500);
        return undefined;
      });
    },
  );
});

test('a dry run tells in which containers the command would run, and runs it in none', () =>
  play(
    'echo started >>/srv/starts',
    (aws, containers) => {
      const [dry, real] = reportsOf(aws);
      assert.equal(dry?.outcome, 'skipped', JSON.stringify(dry));
      assert.equal(dry.figures.containersFound, 3);
      const { containers: found } = dry.details as { containers: { service: string; container: string }[] };
      assert.deepEqual(found.map(({ service, container }) => `${service}/${container}`).sort(), [
        'checkout/app',
        'storefront/app',
        'storefront/app',
      ]);
      assert.equal(real?.outcome, 'succeeded');
      for (const container of containers)
        assert.equal(
          readFileSync(container.path('/srv/starts'), 'utf8'),
          'started\n',
          'by the scheduled run alone',
        );
    },
    (aws) => {
      const startRun = functionNamed(aws, 'shop-start-run');
      const event = { job: 'prune-sessions', deployment: 'shop', options: { dryRun: true } };
      // In the downtime window, before the scheduled run.
      aws.clock.at(Date.parse('2027-01-11T00:30:00Z'), async () => {
        await aws.lambda.call(startRun?.arn ?? '', JSON.stringify(event));
      });
    },
  ));
