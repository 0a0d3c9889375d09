// In one file though long: one world, in which each command finds what those before it left.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { stripVTControlCharacters, styleText } from 'node:util';
import { CloudWatchClient, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { spawn as spawnInTerminal } from '@lydell/node-pty';
import { clientsOf } from '../../rehearsal/clients.ts';
import { stopRuns } from '../../rehearsal/operator.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { createWorld, type World } from '../../rehearsal/world.ts';
import { WINDOW_METRICS } from '../docs/run-calls.ts';
import { recordedTraffic } from '../functions/shared/run/recorded-traffic.ts';
import { buildStage, type Stage } from '../rehearsal/stage.ts';
import { commandLine, type Ended, inTerminal as inTerminalOf, inThisProcess } from './command-line.ts';
import { COMPILE_CACHE } from './compile-cache.ts';

/** 02:00 in São Paulo, an hour into latam's downtime window and half an hour before its schedule. */
const IN_THE_WINDOW = Date.parse('2026-11-25T05:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UPGRADE_CHECK = [
  'lambda:GetDurableExecution',
  'lambda:GetDurableExecutionHistory',
  'lambda:GetFunctionConfiguration',
  'lambda:InvokeFunction',
];

describe('the command line of an operator', () => {
  let stage: Stage;
  let world: World;
  let environment: Record<string, string>;
  let clientOptions: { region: string; endpoint: string };
  let credentialsFor: (...actions: string[]) => ReturnType<World['aws']['credentialsFor']>;
  /** Of a person in the other account, who may do what upgrade-check needs. */
  let inEmea: Record<string, string>;

  before(async () => {
    stage = await buildStage();
    const { latam, emea } = clientsOf({ rows: 2_000, unread: 0 }, IN_THE_WINDOW);
    world = await createWorld({
      ...stage,
      clients: latam && emea ? { latam: { ...latam, containers: { webapp: 1, coreapp: 1 } }, emea } : {},
      // log-cleanup by hand alone.
      jobs: ['message-gc', 'media-gc', 'database-size'],
      start: IN_THE_WINDOW,
    });
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
      'cloudwatch:DescribeAlarmHistory',
      'cloudwatch:DescribeAlarms',
      'cloudwatch:GetMetricData',
      'cloudwatch:SetAlarmState',
      'lambda:GetDurableExecution',
      'lambda:GetDurableExecutionHistory',
      'lambda:GetFunctionConfiguration',
      'lambda:InvokeFunction',
      'lambda:ListDurableExecutionsByFunction',
      'lambda:ListFunctions',
      'lambda:ListVersionsByFunction',
      'logs:FilterLogEvents',
      'scheduler:GetSchedule',
      'scheduler:ListSchedules',
      'sns:ListSubscriptionsByTopic',
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
    const emeas = world.aws.deployed
      .ofType('AWS::Lambda::Function')
      .find(({ name }) => name === 'emea-start-run');
    assert.ok(emeas);
    const theirs = world.aws.credentialsFor({
      arn: `arn:aws:sts::${emeas.account}:assumed-role/operator/somebody`,
      policy: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: UPGRADE_CHECK, Resource: '*' },
          { Effect: 'Allow', Action: 'kms:Decrypt', Resource: '*' },
        ],
      },
    });
    inEmea = {
      ...environment,
      AWS_REGION: emeas.region,
      AWS_ACCESS_KEY_ID: theirs.accessKeyId,
      AWS_SECRET_ACCESS_KEY: theirs.secretAccessKey,
      AWS_SESSION_TOKEN: theirs.sessionToken,
    };
  });
  after(async () => {
    await world?.close();
    await stage.close();
  });

  function cli(
    words: string[],
    onceItSpeaks?: (err: string) => void,
    env: Record<string, string> = environment,
  ): Promise<Ended> {
    return inThisProcess(words, env, { onceItSpeaks });
  }

  /** Likewise in a process of its own, through pipes. */
  function piped(
    words: string[],
    onceItSpeaks?: (err: string) => void,
    env: Record<string, string> = environment,
  ): Promise<Ended> {
    return commandLine(words, env, { onceItSpeaks });
  }

  it('says whether a job would start now, and starts nothing', async () => {
    const { status, out } = await cli([
      ...['run', 'message-gc', 'latam', '--dry-run', '--outside-window', '--json'],
    ]);
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(out), {
      ...{ deployment: 'latam', job: 'message-gc', wouldStart: true, reasons: [] },
    });
    // By AWS's clock, and not this machine's, it is inside the window.
    const inWindow = await cli(['run', 'message-gc', 'latam', '--dry-run']);
    assert.deepEqual([inWindow.status, inWindow.out], [0, 'message-gc of latam would start now.\n']);
    assert.deepEqual(world.aws.lambda.durable.list(), []);
  });

  it('starts a job, follows its steps and ends with its report', async () => {
    const { status, out, err } = await piped(['run', 'message-gc', 'latam'], () => {
      void world.clock.runUntil(IN_THE_WINDOW + 20 * MINUTE);
    });
    const [report] = reportsOf(world.aws);
    assert.ok(report);
    assert.equal(status, 0, err);
    assert.match(err, new RegExp(`^${report.runId} started\\.\\n`));
    assert.match(err, /\d\d:\d\d:\d\dZ {2}start\n/);
    assert.match(err, /\d\d:\d\d:\d\dZ {2}report event\n/);
    // What is looked at until it is so is told twice: once that it is not, and when it is.
    assert.deepEqual(
      Array.from(err.matchAll(/Z {2}(callbacks of call 1.*)\n/g), ([, words]) => words),
      ['callbacks of call 1: not yet', 'callbacks of call 1'],
    );
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
    let passing: Promise<void> | undefined;
    const status = await new Promise<number>((resolve) => {
      let [hasBegun, isLeft] = [false, false];
      terminal.onData((text) => {
        shown += text;
        if (!hasBegun && shown.includes(' started.')) {
          hasBegun = true;
          passing = world.clock.runUntil(IN_THE_WINDOW + 20 * MINUTE + 5_000);
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

    await passing;
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
    // Two by hand, one that was skipped, and at half past two the schedule's.
    assert.equal(lines.length, 4);
    const begun = lines.filter((line) => !/^latam-message-gc-\S+ +2026-11-25 02:\d\d +skipped$/.test(line));
    assert.equal(begun.length, 3);
    for (const line of begun)
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
    const ended = await piped(['status', 'latam']);
    assert.equal(ended.status, 1);
    assert.match(
      ended.out,
      /^latam-message-gc-missed rings since 2026-11-25 02:\d\d\n {2}https:\S+#alarmsV2:alarm\/latam-message-gc-missed$/m,
    );
    assert.match(ended.out, /^latam +message-gc +2026-11-25 02:\d\d +succeeded +\d{4}-\d\d-\d\d 02:30 +\S/m);
    assert.equal(ended.out, stripVTControlCharacters(ended.out));
    const { shown } = await inTerminalOf(['status', 'latam'], environment);
    assert.ok(shown.includes(styleText('green', 'succeeded', { validateStream: false })));
    assert.equal(stripVTControlCharacters(shown).trim(), ended.out.trim());
  });

  const inTerminal = (words: string[], typed?: [once: string, what: string][]) =>
    inTerminalOf(words, environment, typed);

  it("shows a run's own lines in the log, and no others", async () => {
    const runs = reportsOf(world.aws).filter(({ job }) => job === 'message-gc');
    const [first, second] = runs;
    assert.ok(first && second);
    const { status, out } = await piped(['logs', first.runId]);
    assert.equal(status, 0);
    assert.match(out, /^\d\d:\d\d:\d\d\.\d{3}Z {2}START RequestId: \S+ Version: \d+$/m);
    assert.match(out, new RegExp(`^\\S+ {2}INFO {3}Run report {2}\\{"report":.*${first.runId}`, 'm'));
    assert.match(out, /REPORT RequestId: /);
    assert.doesNotMatch(out, new RegExp(`${second.runId}|_aws`));
    const { out: all } = await cli(['logs', first.runId, '--json']);
    const lines: { text: string }[] = all
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    // Metrics and all: what Lambda says of the run's invocations is there of each.
    const starts = lines.filter(({ text }) => text.startsWith('START '));
    assert.equal(starts.length, lines.filter(({ text }) => text.startsWith('REPORT ')).length);
    assert.ok(starts.length > 0 && lines.some(({ text }) => text.includes('"_aws"')));
    const terminal = await inTerminal(['logs', first.runId]);
    assert.equal(stripVTControlCharacters(terminal.shown), out);
  });

  it('shows the lines of a run that goes on as they come, to its end', async () => {
    let begun: Promise<void> | undefined;
    const { err } = await cli(['run', 'message-gc', 'latam', '--no-follow']);
    const [runId = ''] = err.split(' ');
    const { status, out } = await new Promise<Ended>((resolve) => {
      const child = spawn(process.execPath, ['bin/wa-upkeep.ts', 'logs', '--follow', runId], {
        env: environment,
      });
      let [shown, said] = ['', ''];
      child.stdout.on('data', (text) => {
        shown += text;
      });
      child.stderr.on('data', (text) => {
        said += text;
      });
      begun = world.clock.runUntil(world.clock.now() + 20 * MINUTE);
      child.on('close', (code) => resolve({ status: code, out: shown, err: said }));
    });
    await begun;
    assert.equal(status, 0);
    assert.match(out, new RegExp(`Run report .*${runId}`));
    assert.equal(out.match(/Run report/g)?.length, 1);
  });

  it('shows each container as it ends, and says so where it may not look', async () => {
    const ended =
      /^\d\d:\d\d:\d\dZ {2}(webapp|coreapp) [0-9a-f]{32}\/wa-(web|coreapp): exit code 0 after [\d.]+ s$/gm;
    const run = ['run', 'log-cleanup', 'latam'];
    const play = () => void world.clock.runUntil(world.clock.now() + 2 * MINUTE);
    const { status, err } = await cli(run, play);
    assert.equal(status, 0, err);
    assert.deepEqual(Array.from(err.matchAll(ended), ([, role]) => role).sort(), ['coreapp', 'webapp']);
    // Before the step in which they ended.
    assert.match(err, /: exit code 0 after .*\n(.*\n)*.*first try\n/);
    const who = credentialsFor(...UPGRADE_CHECK, 'lambda:ListFunctions');
    const unseen = await cli(run, play, {
      ...environment,
      AWS_ACCESS_KEY_ID: who.accessKeyId,
      AWS_SECRET_ACCESS_KEY: who.secretAccessKey,
      AWS_SESSION_TOKEN: who.sessionToken,
    });
    assert.equal(unseen.status, 0, unseen.err);
    assert.match(unseen.err, /containers are not shown as they end: .*logs:FilterLogEvents/);
  });

  it('says whether the client may be upgraded, and why not', async () => {
    let playing: Promise<void> | undefined;
    const ended = await piped(
      ['upgrade-check', 'emea'],
      () => {
        playing = world.clock.runUntil(world.clock.now() + 5 * MINUTE);
      },
      inEmea,
    );
    await playing;
    assert.equal(ended.status, 1, ended.err);
    assert.match(ended.out, /^emea may not be upgraded yet/);
    assert.match(ended.out, /^criterion +answer +where +what$/m);
    assert.match(ended.out, /^rows of messages +yes +/m);
    assert.match(ended.out, /^ {2}Next: \S/m);
    const early = await cli(['upgrade-check', 'emea', '--prepare'], undefined, inEmea);
    assert.equal(early.status, 1);
    assert.match(early.err, /^--prepare .* only, \d\d:\d\d–\d\d:\d\d Europe\/Berlin: wait for it/);
    const none = await cli(['upgrade-check', 'latam']);
    assert.equal(none.status, 1);
    assert.match(none.err, /^latam has no job upgrade-check/);
    assert.equal((await cli(['upgrade-check', 'emea', '--exact-count', '700'])).status, 2);
    const terminal = await inTerminal(['upgrade-check', 'latam']);
    assert.match(terminal.shown, /^latam has no job upgrade-check/);
  });

  it('rings each alarm once, says who was told, and leaves it as it was', async () => {
    const before = world.aws.notifications.length;
    const only = ['test-alarms', 'latam', '--only', 'message-gc-'];
    assert.match((await cli(only)).err, /^There is no terminal to ask on: say --yes/);
    const asked = await inTerminal(only, [['[y/N] ', 'n\r']]);
    assert.match(
      stripVTControlCharacters(asked.shown),
      /^\d+ alarms of latam ring, each once\. Told is whatsapp-oncall@example\.com\./,
    );
    assert.equal(world.aws.notifications.length, before);

    const { status, out, err } = await piped([...only, '--yes', '--json']);
    assert.equal(status, 0, err);
    const trials: { alarm: string; outcome: string; to: object[] }[] = JSON.parse(out);
    const email = { protocol: 'email', endpoint: 'whatsapp-oncall@example.com' };
    assert.ok(trials.some(({ alarm }) => alarm === 'latam-message-gc-failed'));
    for (const { alarm, outcome, to } of trials) {
      if (outcome === 'rings already') continue;
      assert.deepEqual({ outcome, to }, { outcome: 'told', to: [email] }, alarm);
      const sent = world.aws.notifications
        .slice(before)
        .filter(({ subject }) => subject === `ALARM: "${alarm}" in us-east-1`);
      assert.equal(sent.length, 1, alarm);
    }
    const again = await cli(['status', 'latam', '--json']);
    assert.deepEqual(
      JSON.parse(again.out)[0].alarms.filter(({ name }: { name: string }) =>
        trials.some(({ alarm, outcome }) => alarm === name && outcome !== 'rings already'),
      ),
      [],
    );

    world.aws.sns.unconfirmed.add(email.endpoint);
    const one = ['test-alarms', 'latam', '--only', 'message-gc-failed'];
    const unheard = await inTerminal(one, [['[y/N] ', 'y\r']]);
    world.aws.sns.unconfirmed.delete(email.endpoint);
    assert.equal(unheard.status, 1);
    assert.match(stripVTControlCharacters(unheard.shown), /Told is nobody, for no subscription is confirmed/);
    assert.match(stripVTControlCharacters(unheard.shown), /latam-message-gc-failed: nobody is told/);
    assert.equal((await cli(['test-alarms', 'latam', '--only', 'nothing-like-it', '--yes'])).status, 1);
  });

  it('looks again and again whether all is well, until Ctrl-C', async () => {
    const { status, shown } = await inTerminal(
      ['status', 'latam', '--watch', '1'],
      [
        ['Every 1 s', ''],
        ['Every 1 s, until Ctrl-C.\r\n\u001B[H', '\u0003'],
      ],
    );
    assert.ok(status === 0 || status === 1);
    assert.match(stripVTControlCharacters(shown), /deployment +job +last run/);
    const child = spawn(process.execPath, ['bin/wa-upkeep.ts', 'status', 'latam', '--watch', '1', '--json'], {
      env: environment,
    });
    let out = '';
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
      child.stdout.on('data', (text) => {
        const isFirst = !out.includes('\n');
        out += text;
        if (isFirst && out.includes('\n')) child.kill('SIGINT');
      });
      child.on('close', (...ended) => resolve(ended));
    });
    assert.deepEqual([code === status, signal], [true, null]);
    assert.equal(JSON.parse(out)[0].deployment, 'latam');
  });

  it('says whether the downtime window is quiet, by what came to the load balancer, and which would be', async () => {
    const place = { account: '111111111111', region: clientOptions.region };
    const dimensions = { LoadBalancer: 'app/shop/0123456789abcdef' };
    const now = world.clock.now();
    // In São Paulo it is three hours earlier; quiet from 11:00 to 15:00 there.
    for (let at = now - (now % HOUR) - 28 * DAY; at < now; at += 15 * MINUTE) {
      const quiet = new Date(at).getUTCHours() >= 14 && new Date(at).getUTCHours() < 18;
      world.aws.cloudWatch.put(
        place,
        'AWS/ApplicationELB',
        'RequestCount',
        dimensions,
        quiet ? 0.5 : 12.5,
        at,
      );
    }
    const words = ['window', 'latam', '--load-balancer', dimensions.LoadBalancer];
    const { status, out, err } = await cli(words);
    assert.equal(status, 1, err);
    assert.match(out, /The downtime window is not quiet\./);
    assert.match(out, /^configured +01:00 +05:00 +50$/m);
    assert.match(out, /^ {2}window: \{ from: '11:00', to: '15:00' \},$/m);
    assert.match(out, /^monday +██.* ▁▁ ▁▁ ▁▁ ▁▁ ██/m);
    const json = JSON.parse((await cli([...words, '--weeks', '2', '--json'])).out);
    assert.deepEqual(json.quietest, { from: '11:00', to: '15:00', requestsPerHour: 2 });
    const database = { DBInstanceIdentifier: 'whatsapp-latam' };
    for (let at = now - (now % HOUR) - 14 * DAY; at < now; at += 5 * MINUTE) {
      const quiet = new Date(at).getUTCHours() >= 4 && new Date(at).getUTCHours() < 8;
      world.aws.cloudWatch.put(
        place,
        'AWS/RDS',
        'NetworkReceiveThroughput',
        database,
        quiet ? 100 : 9000,
        at,
      );
    }
    const byDatabase = await cli(['window', 'latam', '--database', database.DBInstanceIdentifier]);
    assert.equal(byDatabase.status, 0, byDatabase.err);
    assert.match(byDatabase.out, / kilobytes in an hour, by NetworkReceiveThroughput of whatsapp-latam\.$/m);
    assert.match(byDatabase.out, /^configured +01:00 +05:00 +360$/m);
    assert.equal((await cli([...words, '--database', 'whatsapp-latam'])).status, 2);
    // Of the callbacks that came here before.
    const asked = world.aws.calls.length;
    assert.match(
      (await cli(['window', 'latam'])).err,
      /^Of MatchedEvents of latam-callbacks: Only \d days? (is|are) known, .* at least 7 whole ones\.$/m,
    );
    const counted = world.aws.calls.slice(asked).filter(({ action }) => /GetMetricData/.test(action));
    assert.equal(counted.length, WINDOW_METRICS, 'as docs/cost.md has it');
    const unknown = await cli(['window', 'latam', '--load-balancer', 'net/shop/0123456789abcdef']);
    assert.match(
      unknown.err,
      /CloudWatch knows no NewFlowCount of net\/shop\/0123456789abcdef in the last 4 weeks/,
    );
    assert.equal((await cli(['window', 'latam', '--load-balancer', 'shop'])).status, 2);
  });

  it('says it by the callbacks on the bus, which the webhook puts there: as many as once were recorded of real traffic', async () => {
    const place = { account: '111111111111', region: clientOptions.region };
    const bus = { EventBusName: 'latam-callbacks', RuleName: 'latam-callbacks' };
    const now = world.clock.now();
    for (const { at, requests } of recordedTraffic({ from: now - 28 * DAY, to: now }))
      world.aws.cloudWatch.put(place, 'AWS/Events', 'MatchedEvents', bus, requests, at);
    const { status, out } = await cli(['window', 'latam']);
    assert.equal(status, 0);
    assert.match(out, /in an hour, by MatchedEvents of latam-callbacks\.$/m);
    assert.match(out, /The downtime window is quiet\./);
    // What was recorded was least from 06:00 to 10:00 UTC.
    assert.match(out, /^quietest +03:00 +07:00 /m);
  });

  it('shows on a terminal what it writes to a pipe, of each other command that only reads', async () => {
    const [run] = reportsOf(world.aws);
    assert.ok(run);
    const load = ['--load-balancer', 'app/shop/0123456789abcdef'];
    const commands = [
      ['history', 'latam', 'message-gc'],
      ['show', run.runId],
      ['watch', run.runId],
      ['window', 'latam', ...load],
      ['rehearse', '--help'],
    ];
    for (const words of commands) {
      const [ended, shown] = await Promise.all([piped(words), inTerminal(words)]);
      assert.equal(ended.out, stripVTControlCharacters(ended.out));
      assert.equal(stripVTControlCharacters(shown.shown), ended.err + ended.out, words.join(' '));
      assert.equal(shown.status, ended.status);
    }
    // Neither an app nor what was synthesized of one.
    const nothing = await inTerminal(['rehearse']);
    assert.equal(nothing.status, 2);
    assert.match(nothing.shown, /Say either --app, .*, or --output/);
    const nowhere = await piped(['rehearse', '--output', 'nowhere']);
    assert.equal(nowhere.status, 2);
    assert.match(nowhere.err, /^nowhere holds nothing that was synthesized: cdk synth writes into cdk\.out/);
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

  it('says how a run begins all the same that is refused for the hour', async () => {
    const outside = await cli(['run', 'message-gc', 'emea'], undefined, inEmea);
    assert.equal(outside.status, 1);
    assert.match(outside.err, /outside the downtime window .*\. Wait for it, or say --outside-window\./);
  });

  it('tells of runs that never began, and of those that ended without a report, what others report of them', async () => {
    const { out: answer } = await cli([
      ...['run', 'message-gc', 'latam', '--outside-window', '--no-follow', '--json'],
    ]);
    const { runId: stopped } = JSON.parse(answer);
    const { out: skip } = await cli(['run', 'message-gc', 'latam', '--outside-window', '--json']);
    const { runId: skipped, outcome, reason } = JSON.parse(skip);
    assert.equal(outcome, 'skipped');
    await stopRuns(world.aws, 'latam-message-gc');
    const stop = world.aws.onInvoke(({ functionName, payload }) =>
      functionName === 'latam-start-run' && payload.includes('doomed')
        ? new Error('Every try fails')
        : undefined,
    );
    const lambda = new LambdaClient({
      ...clientOptions,
      credentials: credentialsFor('lambda:InvokeFunction'),
    });
    const event = { job: 'log-cleanup', deployment: 'latam', outsideWindow: true, request: 'doomed' };
    await lambda.send(
      new InvokeCommand({
        ...{ FunctionName: 'latam-start-run', InvocationType: 'Event', Payload: JSON.stringify(event) },
      }),
    );
    lambda.destroy();
    await world.clock.runUntil(world.clock.now() + 15 * MINUTE);
    stop();

    const history = await cli(['history', 'latam', 'log-cleanup']);
    assert.equal(history.status, 0, history.err);
    const [, newest = ''] = history.out.split('\n');
    assert.match(newest, /^latam-log-cleanup-manual-\S+ +2026-11-2\d \d\d:\d\d +failed, never began$/);
    const [failed = ''] = newest.split(' ');
    assert.match(
      (await cli(['show', failed])).out,
      /The run was not started: .*Every try fails[\s\S]*It may begin yet: if start-run had written it into its ledger/,
    );
    const status = await cli(['status', 'latam']);
    assert.equal(status.status, 1);
    assert.match(status.out, /^latam +log-cleanup +2026-11-2\d \d\d:\d\d +failed, never began /m);
    assert.match(status.out, /^latam +message-gc +2026-11-2\d \d\d:\d\d +lost \(stopped\) /m);

    // What begins all the same after that speaks for itself.
    const late = await cli([
      ...['run', 'log-cleanup', 'latam', '--outside-window', '--request', 'doomed', '--no-follow'],
    ]);
    assert.equal(late.err, `${failed} started.\n`);
    assert.match(
      (await cli(['history', 'latam', 'log-cleanup'])).out,
      new RegExp(`^${failed} +2026-11-2\\d \\d\\d:\\d\\d +goes on$`, 'm'),
    );
    assert.equal((await cli(['show', failed])).out, `${failed} goes on: wa-upkeep watch ${failed}\n`);

    const gc = await cli(['history', 'latam', 'message-gc']);
    assert.match(gc.out, new RegExp(`^${skipped} .* skipped$`, 'm'));
    assert.match(gc.out, new RegExp(`^${stopped} .* lost \\(stopped\\)$`, 'm'));
    assert.ok((await cli(['show', skipped])).out.includes(reason));
    assert.match((await cli(['show', stopped])).out, /The run was stopped by somebody/);

    // Who may not look in these logs is told so, and that is no good answer.
    const who = credentialsFor(
      ...['cloudwatch:DescribeAlarms', 'lambda:GetDurableExecution', 'lambda:GetFunctionConfiguration'],
      ...['lambda:ListDurableExecutionsByFunction', 'lambda:ListFunctions', 'scheduler:GetSchedule'],
      'scheduler:ListSchedules',
    );
    const blind = {
      ...environment,
      AWS_ACCESS_KEY_ID: who.accessKeyId,
      AWS_SECRET_ACCESS_KEY: who.secretAccessKey,
      AWS_SESSION_TOKEN: who.sessionToken,
    };
    const unseen = await cli(['status', 'latam'], undefined, blind);
    assert.equal(unseen.status, 1);
    assert.match(unseen.out, /^latam: Runs that never began are not shown: .*logs:FilterLogEvents/m);
    const dim = await cli(['history', 'latam', 'log-cleanup'], undefined, blind);
    assert.equal(dim.status, 1);
    assert.match(dim.err, /^Runs that never began are not shown: .*logs:FilterLogEvents/);
    assert.match(dim.out, / succeeded /);
  });

  it('ends quietly when whoever reads it has had enough', async () => {
    const child = spawn(process.execPath, ['bin/wa-upkeep.ts', 'history', 'latam', 'message-gc'], {
      env: environment,
    });
    child.stdout.destroy();
    let err = '';
    child.stderr.on('data', (text) => {
      err += text;
    });
    const ended = await new Promise((resolve) => child.on('close', (...how) => resolve(how)));
    assert.deepEqual([ended, err], [[0, null], '']);
  });
});
