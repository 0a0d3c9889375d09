import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { stripVTControlCharacters, styleText } from 'node:util';
import { CloudWatchClient, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { spawn as spawnInTerminal } from '@lydell/node-pty';
import { clientsOf } from '../../rehearsal/clients.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { createWorld, type World } from '../../rehearsal/world.ts';
import { buildStage, type Stage } from '../rehearsal/stage.ts';
import { COMPILE_CACHE } from './compile-cache.ts';

/** 02:00 in São Paulo, an hour into latam's downtime window and half an hour before its schedule. */
const IN_THE_WINDOW = Date.parse('2026-11-25T05:00:00Z');
const MINUTE = 60_000;

describe('the command line of an operator', () => {
  let stage: Stage;
  let world: World;
  let environment: Record<string, string>;
  let clientOptions: { region: string; endpoint: string };
  let credentialsFor: (...actions: string[]) => ReturnType<World['aws']['credentialsFor']>;

  before(async () => {
    stage = await buildStage();
    const { latam } = clientsOf({ rows: 2_000, unread: 0 }, IN_THE_WINDOW);
    world = await createWorld({ ...stage, clients: latam ? { latam } : {}, start: IN_THE_WINDOW });
    const startRun = world.aws.deployed
      .ofType('AWS::Lambda::Function')
      .find(({ name }) => name === 'latam-start-run');
    assert.ok(startRun);
    clientOptions = { region: startRun.region, endpoint: world.aws.endpoint };
    credentialsFor = (...actions) =>
      world.aws.credentialsFor({
        arn: `arn:aws:sts::${startRun.account}:assumed-role/operator/somebody`,
        policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] },
      });
    // What docs/command-line.md says that a person needs.
    const { accessKeyId, secretAccessKey, sessionToken } = credentialsFor(
      'cloudwatch:DescribeAlarms',
      'lambda:GetDurableExecution',
      'lambda:GetDurableExecutionHistory',
      'lambda:GetFunctionConfiguration',
      'lambda:InvokeFunction',
      'lambda:ListDurableExecutionsByFunction',
      'lambda:ListFunctions',
      'lambda:ListVersionsByFunction',
      'scheduler:GetSchedule',
      'scheduler:ListSchedules',
    );
    environment = {
      ...COMPILE_CACHE,
      PATH: process.env.PATH ?? '',
      AWS_ENDPOINT_URL: world.aws.endpoint,
      AWS_REGION: startRun.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken ?? '',
    };
  });
  after(async () => {
    await world?.close();
    await stage.close();
  });

  interface Ended {
    status: number | null;
    out: string;
    err: string;
  }

  /** Runs the command line as a process of its own, and may do something as soon as it has said something. */
  function cli(words: string[], onceItSpeaks?: (err: string) => void): Promise<Ended> {
    const child = spawn(process.execPath, ['bin/wa-upkeep.ts', ...words], { env: environment });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      if (err === '') onceItSpeaks?.(`${text}`);
      err += text;
    });
    return new Promise((resolve) => child.on('close', (status) => resolve({ status, out, err })));
  }

  it('says whether a job would start now, and starts nothing', async () => {
    const { status, out } = await cli([
      ...['run', 'message-gc', 'latam', '--dry-run', '--outside-window', '--json'],
    ]);
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(out), {
      ...{ deployment: 'latam', job: 'message-gc', wouldStart: true, reasons: [] },
    });
    assert.deepEqual(world.aws.lambda.durable.list(), []);
  });

  it('starts a job, follows its steps and ends with its report', async () => {
    const { status, out, err } = await cli(['run', 'message-gc', 'latam'], () => {
      void world.clock.runUntil(IN_THE_WINDOW + 20 * MINUTE);
    });
    const [report] = reportsOf(world.aws);
    assert.ok(report);
    assert.equal(status, 0, err);
    assert.match(err, new RegExp(`^${report.runId} started\\.\\n`));
    assert.match(err, /\d\d:\d\d:\d\d {2}start\n/);
    assert.match(err, /\d\d:\d\d:\d\d {2}report event\n/);
    assert.match(out, new RegExp(`^${report.runId}: succeeded, `));
    for (const [name, value] of Object.entries(report.figures))
      assert.match(out, new RegExp(`  ${name}: ${value}\n`));
  });

  it('is left with Ctrl-C while the run goes on, and taken up again', async () => {
    const terminal = spawnInTerminal(process.execPath, ['bin/wa-upkeep.ts', 'run', 'message-gc', 'latam'], {
      env: environment,
      cols: 200,
    });
    let shown = '';
    const status = await new Promise<number>((resolve) => {
      let [hasBegun, isLeft] = [false, false];
      terminal.onData((text) => {
        shown += text;
        if (!hasBegun && shown.includes(' started.')) {
          hasBegun = true;
          void world.clock.runUntil(IN_THE_WINDOW + 20 * MINUTE + 5_000);
        }
        if (isLeft || !shown.includes('  start')) return;
        isLeft = true;
        terminal.write('\u0003');
      });
      terminal.onExit(({ exitCode }) => resolve(exitCode));
    });
    assert.equal(status, 0);
    const [, runId = ''] = /wa-upkeep watch (\S+)/.exec(stripVTControlCharacters(shown)) ?? [];
    assert.match(runId, /^latam-message-gc-manual-/);
    const going = await cli(['show', runId]);
    assert.deepEqual(going, { status: 0, out: `${runId} goes on: wa-upkeep watch ${runId}\n`, err: '' });

    const skipped = await cli(['run', 'message-gc', 'latam']);
    assert.equal(skipped.status, 1);
    const foreseen = await cli(['run', 'message-gc', 'latam', '--dry-run', '--outside-window']);
    assert.equal(foreseen.status, 1);
    assert.match(
      foreseen.out,
      new RegExp(`^message-gc of latam would be skipped now\\.\\n  The run ${runId} is still`),
    );
    assert.match(skipped.err, new RegExp(`was skipped\\. The run ${runId} is still going on`));

    await world.clock.runUntil(IN_THE_WINDOW + 40 * MINUTE);
    const { status: ended, out } = await cli(['watch', runId, '--json']);
    assert.equal(ended, 0);
    assert.equal(JSON.parse(out).runId, runId);
  });

  it('tells of the last runs, and of one of them whole', async () => {
    const { status, out } = await cli(['history', 'latam', 'message-gc']);
    assert.equal(status, 0);
    const [head, ...lines] = out.trim().split('\n');
    assert.match(head ?? '', /^run +began +took +outcome +figures$/);
    // Two by hand, and at half past two the schedule's.
    assert.equal(lines.length, 3);
    for (const line of lines)
      assert.match(line, /^latam-message-gc-\S+ +2026-11-25 02:\d\d +\d+ s +succeeded +\S/);
    assert.match(lines[0] ?? '', /^latam-message-gc-20261125T053000Z /);
    const [runId = ''] = (lines[0] ?? '').split(' ');
    const shown = await cli(['show', runId, '--json']);
    assert.equal(JSON.parse(shown.out).report.runId, runId);
  });

  it('says whether all is well, with colours on a terminal only', async () => {
    const { status, out } = await cli(['status', '--json']);
    const found: { deployment: string; jobs: { job: string; next?: string; report?: object }[] }[] =
      JSON.parse(out);
    const latam = found.find(({ deployment }) => deployment === 'latam');
    const gc = latam?.jobs.find(({ job }) => job === 'message-gc');
    assert.ok(gc?.report);
    assert.match(gc.next ?? '', /T05:30:00\.000Z$/);
    assert.equal(status, 0);
    assert.equal((await cli(['status', '--quiet'])).out, 'Nothing is wrong.\n');

    const name = 'latam-message-gc-missed';
    const cloudWatch = new CloudWatchClient({
      ...clientOptions,
      credentials: credentialsFor('cloudwatch:SetAlarmState'),
    });
    await cloudWatch.send(
      new SetAlarmStateCommand({ AlarmName: name, StateValue: 'ALARM', StateReason: 'trial' }),
    );
    cloudWatch.destroy();
    const piped = await cli(['status', 'latam']);
    assert.equal(piped.status, 1);
    assert.match(
      piped.out,
      /^latam-message-gc-missed rings since 2026-11-25 02:\d\d\n {2}https:\S+#alarmsV2:alarm\/latam-message-gc-missed$/m,
    );
    assert.match(piped.out, /^latam +message-gc +2026-11-25 02:\d\d +succeeded +\d{4}-\d\d-\d\d 02:30 +\S/m);
    assert.equal(piped.out, stripVTControlCharacters(piped.out));
    const terminal = spawnInTerminal(process.execPath, ['bin/wa-upkeep.ts', 'status', 'latam'], {
      env: { ...environment, TERM: 'xterm-256color' },
      cols: 200,
    });
    let shown = '';
    terminal.onData((text) => {
      shown += text;
    });
    await new Promise((resolve) => terminal.onExit(resolve));
    assert.ok(shown.includes(styleText('green', 'succeeded', { validateStream: false })));
    assert.equal(stripVTControlCharacters(shown).replaceAll('\r\n', '\n').trim(), piped.out.trim());
  });

  it('names what there is instead of what there is not', async () => {
    const nowhere = await cli(['run', 'message-gc', 'atlantis']);
    assert.equal(nowhere.status, 1);
    assert.match(nowhere.err, /There is no deployment atlantis in \S+\. There: .*latam/);
    const nothing = await cli(['history', 'latam', 'constructor']);
    assert.equal(nothing.status, 1);
    assert.match(nothing.err, /^latam has no job constructor\. It has .*message-gc/);
    assert.match(
      (await cli(['show', 'latam-message-gc-manual-000000000'])).err,
      /There is no run latam-message-gc-manual/,
    );
    assert.equal((await cli(['run', 'message-gc'])).status, 2);
    assert.equal((await cli(['run', 'message-gc', 'latam', '--options', '[1]'])).status, 2);
    const help = await cli(['run', '--help']);
    assert.equal(help.status, 0);
    assert.match(help.out, /Examples:[\s\S]*Exit codes: 0 all is well/);
  });
});
