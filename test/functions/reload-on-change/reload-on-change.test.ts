// In one file though long: one deployment, in which all of it is played, one day after the other.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { reloadOnChange } from '../../../examples/reload-on-change.ts';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { AwsError } from '../../../rehearsal/aws/aws-error.ts';
import { simulatedClock } from '../../../rehearsal/aws/clock.ts';
import type { TaskContainer } from '../../../rehearsal/aws/containers/container.ts';
import type { ManagedService, ManagedServiceOptions } from '../../../rehearsal/aws/ecs/service.ts';
import { type Aws, startAws } from '../../../rehearsal/aws/server.ts';
import { startRun } from '../../../rehearsal/operator.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { playStacks } from '../../../rehearsal/stacks/play.ts';
import { besideFormula, countCalls, measuredRun } from '../../rehearsal/calls-of-runs.ts';
import { Evidence } from '../../rehearsal/permissions/needed.ts';
import { onOperationEnd } from '../credential-rotation/rotation-days.ts';
import { killAt, oneOfEachKind, stopAfter } from '../credential-rotation/run-faults.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The schedule, in UTC: half past one in Berlin's winter. */
const DUE = HOUR / 2;
/** An afternoon outside the window. */
const START = Date.parse('2027-01-10T14:00:00Z');
const JOB = 'checkout-reload-on-change';

const folder = mkdtempSync(join(tmpdir(), 'reload-'));
const clock = simulatedClock(START, folder);
const place = { account: '', region: '' };
let aws: Aws;
let services: Record<'worker' | 'checkout' | 'proxy', ManagedService>;
/** What functions have asked of AWS since it was last emptied. */
let calls: Map<string, number>;
let arns: Record<'payment-key' | 'database', string>;

/** What each container was given, as ECS gives it at its start. */
const given = new Map<TaskContainer, string>();
/** So long the tasks of `worker` live that are given this payment key. */
const bad = { key: '', livesFor: 0 };

const client = () => ({
  endpoint: aws.endpoint,
  region: place.region,
  credentials: aws.credentialsFor({
    arn: `arn:aws:iam::${place.account}:user/tester`,
    policy: { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } },
  }),
  maxAttempts: 1,
});
const watched = () => ({ aws, clock, client, job: JOB });

function values(service: string): string {
  const key = aws.secrets.value(arns['payment-key']);
  const password = aws.secrets.value(arns.database);
  const certificate = aws.ssm.parameter('/checkout/certificate', place)?.value;
  return { worker: key, checkout: `${key} ${password}`, proxy: certificate }[service] ?? '';
}

/** Nothing is run in it: what it was given is noted. */
function lightContainer(name: string): TaskContainer {
  const { promise: stopped, resolve } = Promise.withResolvers<void>();
  const container = {
    ...{ name, runtimeId: crypto.randomUUID(), running: true, agentRunning: true, lacks: new Set<string>() },
    ...{ address: '10.0.0.1', stopped },
    startInTerminal: () => assert.fail('nothing is run in it'),
    async kill() {
      container.running = false;
      resolve();
    },
  };
  return container;
}

function manage(service: string, options: Partial<ManagedServiceOptions>): ManagedService {
  return aws.ecs.manageService({
    ...place,
    cluster: 'shop',
    service,
    desiredCount: 2,
    async start() {
      const container = lightContainer(service);
      given.set(container, values(service));
      if (service === 'worker' && values(service) === bad.key)
        clock.at(clock.now() + bad.livesFor, () => container.kill());
      return [container];
    },
    ...options,
  });
}

/** The tasks that a service is to run. */
function running(service: string) {
  return aws.ecs
    .tasksOf({ ...place, cluster: 'shop', service })
    .filter(({ lastStatus, desiredStatus }) => lastStatus === 'RUNNING' && desiredStatus === 'RUNNING');
}

/** Every task that runs has what is in use now, whatever the function took for true. */
function assertAllHave(what: string): void {
  for (const service of ['worker', 'checkout', 'proxy'])
    for (const task of running(service)) {
      const [container] = task.containers;
      assert.equal(container && given.get(container), values(service), `${service}, ${what}`);
    }
}

const taskIds = (service: string) =>
  running(service)
    .map(({ id }) => id)
    .sort();

/** Plays until the runs that begin are over; their reports. */
async function played(until: number): Promise<RunReport[]> {
  const seen = reportsOf(aws).length;
  await clock.runUntil(until);
  while (aws.lambda.durable.list().some(({ status }) => status === 'RUNNING'))
    await clock.runUntil(clock.now() + MINUTE);
  return reportsOf(aws).slice(seen);
}

/** Until after the next daily run. */
async function nextDay(): Promise<RunReport> {
  const due = Math.ceil((clock.now() - DUE) / DAY) * DAY + DUE;
  const [report, ...others] = await played(due + 10 * MINUTE);
  assert.ok(report, 'the day had no run');
  assert.deepEqual(others, []);
  return report;
}

/** From now on calls are counted. Returns how often the job has run. */
function beginRun(): number {
  calls.clear();
  return aws.lambda.durable.list().filter(({ arn }) => arn.split(':')[6] === JOB).length;
}

function only(reports: RunReport[]): RunReport {
  assert.equal(reports.length, 1, JSON.stringify(reports));
  return reports[0] ?? assert.fail();
}

function assertSucceeded(report: RunReport, figures: Record<string, number>): void {
  assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
  assert.deepEqual(report.figures, {
    newVersions: 0,
    servicesReloaded: 0,
    tasksReplaced: 0,
    tasksBehind: 0,
    ...figures,
  });
}

const rang = (since: number) =>
  aws.alarms.filter(({ time, to }) => time > since && to === 'ALARM').map(({ alarm }) => alarm);

let keys = 0;
/** A new payment key, as whoever has it writes it. */
const changeKey = (value = `key ${++keys}`) => aws.secrets.put(arns['payment-key'], value);

before(async () => {
  const app = new App({ outdir: join(folder, 'cdk.out'), analyticsReporting: false });
  const { account, region } = reloadOnChange(app);
  Object.assign(place, { account, region });
  aws = await startAws({ cdkOut: app.synth().directory, clock });
  // Of a run's work here, half would be to start its functions' processes anew.
  aws.lambda.keepWarm(1000 * DAY);
  calls = countCalls(aws);
  const secret = (name: string) => `arn:aws:secretsmanager:${region}:${account}:secret:${name}`;
  arns = {
    'payment-key': secret('checkout/payment-key-a1B2c3'),
    database: secret('rds!cluster-0a1b2c3d-d4E5f6'),
  };
  changeKey();
  aws.secrets.put(arns.database, 'password 1');
  aws.ssm.write('/checkout/certificate', 'certificate 1', { ...place, keyId: 'alias/checkout' });
  await clock.runUntil(START + MINUTE);
  const key = { name: 'PAYMENT_KEY', valueFrom: arns['payment-key'] };
  services = {
    worker: manage('worker', { secrets: [key] }),
    checkout: manage('checkout', {
      minimumHealthyPercent: 50,
      maximumPercent: 200,
      secrets: [key, { name: 'PASSWORD', valueFrom: `${arns.database}:password::` }],
    }),
    proxy: manage('proxy', { strategy: 'BLUE_GREEN' }),
  };
  await clock.runUntil(START + 10 * MINUTE);
});
after(async () => {
  await aws.close();
  clock.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the first look, and one after changes that are no new version, replace no task', async () => {
  const tasks = ['worker', 'checkout', 'proxy'].map(taskIds);
  // A label that nobody reads, as a tag does, changes the secret's own date.
  aws.secrets.label(arns.database, 'SOMEBODY', 'AWSCURRENT');
  assertSucceeded(only(await played(clock.now() + MINUTE)), {});
  const before = beginRun();
  assertSucceeded(await nextDay(), {});
  assert.deepEqual(
    besideFormula('reload-on-change', { services: 3 }, measuredRun(aws, calls, JOB, before)),
    [],
  );
  aws.secrets.label(arns['payment-key'], 'SOMEBODY', 'AWSCURRENT');
  assertSucceeded(only(await played(clock.now() + MINUTE)), {});
  assertSucceeded(await nextDay(), {});
  assert.deepEqual(['worker', 'checkout', 'proxy'].map(taskIds), tasks);
  assert.ok(!aws.calls.some(({ action }) => /UpdateService|StopTask/.test(action)));
});

test('a new key is told by an event, outside the window too, and the services that are given it are rolled one after the other', async () => {
  await clock.runUntil(clock.now() + 12 * HOUR);
  const proxies = taskIds('proxy');
  const before = beginRun();
  changeKey();
  const report = only(await played(clock.now() + MINUTE));
  assertSucceeded(report, { newVersions: 1, servicesReloaded: 2, tasksReplaced: 4 });
  const measured = measuredRun(aws, calls, JOB, before);
  assert.deepEqual(
    besideFormula('reload-on-change that reloads', { services: 2, oneByOne: 2 }, measured),
    [],
  );
  assert.ok(report.details?.outsideWindow);
  const { rolled, services: told, watched } = report.details as Record<string, Record<string, unknown>[]>;
  assert.deepEqual(
    rolled?.map(({ service, how, outcome }) => [service, how, outcome]),
    [
      ['worker', 'forced', 'rolled'],
      ['checkout', 'task-by-task', 'rolled'],
    ],
  );
  assert.deepEqual(
    told?.map(({ service, reads, by }) => [service, reads, by]),
    [
      ['worker', ['payment-key'], 'task definition'],
      ['checkout', ['payment-key', 'database'], 'task definition'],
      ['proxy', ['certificate'], 'itself'],
    ],
  );
  assert.deepEqual(
    watched?.map(({ name, isNew }) => [name, isNew]),
    [
      ['payment-key', true],
      ['database', false],
      ['certificate', false],
    ],
  );
  assertAllHave('after the event');
  assert.deepEqual(taskIds('proxy'), proxies);
  assert.equal(services.checkout.fewestRunning, 1);
  assert.ok(services.checkout.deployments.length === 1, 'task by task there is no new deployment');
});

test('a rotation as RDS makes it: tasks that started between the making of the version and its use are replaced too', async () => {
  const pending = aws.secrets.begin(arns.database, 'password 2');
  await clock.runUntil(clock.now() + 5 * MINUTE);
  const [task] = running('checkout');
  assert.ok(task);
  services.checkout.stopTask(task, 'a host was replaced');
  await clock.runUntil(clock.now() + 5 * MINUTE);
  const between = taskIds('checkout');
  const before = beginRun();
  aws.secrets.label(arns.database, 'AWSCURRENT', pending);
  assertSucceeded(only(await played(clock.now() + MINUTE)), {
    newVersions: 1,
    servicesReloaded: 1,
    tasksReplaced: 2,
  });
  const measured = measuredRun(aws, calls, JOB, before);
  assert.deepEqual(
    besideFormula('reload-on-change that reloads', { services: 1, oneByOne: 2 }, measured),
    [],
  );
  assertAllHave('after the rotation');
  assert.ok(taskIds('checkout').every((id) => !between.includes(id)));
  assertSucceeded(await nextDay(), {});
});

test('a label that somebody moves back to a version of long ago is a new one for the tasks', async () => {
  aws.secrets.label(arns.database, 'AWSCURRENT', 'AWSPREVIOUS');
  assert.equal(aws.secrets.value(arns.database), 'password 1');
  assertSucceeded(only(await played(clock.now() + MINUTE)), {
    newVersions: 1,
    servicesReloaded: 1,
    tasksReplaced: 2,
  });
  assertAllHave('after the label was moved back');
});

test('a parameter has the service rolled that reads it by itself, with a second fleet, and where the event is lost the daily look finds it', async () => {
  const [startRunArn = ''] = aws.deployed
    .ofType('AWS::Lambda::Function')
    .flatMap(({ name, arn }) => (name === 'checkout-start-run' ? arn : []));
  aws.events.unreachable.add(startRunArn);
  aws.ssm.write('/checkout/certificate', 'certificate 2', { ...place, keyId: 'alias/checkout' });
  assert.deepEqual(await played(clock.now() + MINUTE), []);
  aws.events.unreachable.delete(startRunArn);
  aws.dropped.length = 0;
  assertSucceeded(await nextDay(), { newVersions: 1, servicesReloaded: 1, tasksReplaced: 2 });
  assertAllHave('after the daily look');
});

test('a change that is taken back before any look is noticed: tasks that started meanwhile have what was taken back', async () => {
  const [startRunArn = ''] = aws.deployed
    .ofType('AWS::Lambda::Function')
    .flatMap(({ name, arn }) => (name === 'checkout-start-run' ? arn : []));
  const before = aws.secrets.value(arns['payment-key']);
  aws.events.unreachable.add(startRunArn);
  changeKey();
  const [task] = running('worker');
  assert.ok(task);
  services.worker.stopTask(task, 'a host was replaced');
  await clock.runUntil(clock.now() + 5 * MINUTE);
  aws.secrets.label(arns['payment-key'], 'AWSCURRENT', 'AWSPREVIOUS');
  assert.equal(aws.secrets.value(arns['payment-key']), before);
  assert.deepEqual(await played(clock.now() + MINUTE), []);
  assert.throws(() => assertAllHave('before the look'));
  aws.events.unreachable.delete(startRunArn);
  aws.dropped.length = 0;
  assertSucceeded(await nextDay(), { newVersions: 1, servicesReloaded: 2, tasksReplaced: 4 });
  assertAllHave('after the daily look');
  assertSucceeded(await nextDay(), {});
});

test('what changes while services are rolled is loaded in the same run', async () => {
  let changed = false;
  const stop = aws.onCall(({ operation, input }) => {
    if (operation !== 'StopTask' || changed || !String(input.cluster).includes('shop')) return undefined;
    changed = true;
    stop();
    clock.at(clock.now() + 1000, () => changeKey());
    return undefined;
  });
  changeKey();
  const reports = await played(clock.now() + MINUTE);
  const done = reports.filter(({ outcome }) => outcome === 'succeeded');
  const { tasksReplaced = 0 } = done[0]?.figures ?? {};
  assert.ok(tasksReplaced > 4, 'those too that had the first of them');
  assertSucceeded(done[0] ?? assert.fail(), { newVersions: 1, servicesReloaded: 4, tasksReplaced });
  // Its event came while that run was going on.
  assert.deepEqual(
    reports.filter(({ outcome }) => outcome !== 'succeeded').map(({ outcome }) => outcome),
    ['skipped'],
  );
  assertAllHave('after both');
});

test('a value with which tasks come up and end a moment later stops the roll at the first service, and a good one is loaded', async () => {
  const since = clock.now();
  const checkouts = taskIds('checkout');
  // Longer than ECS waits before it calls them healthy.
  Object.assign(bad, { key: 'bad key', livesFor: 55_000 });
  changeKey(bad.key);
  const failed = only(await played(clock.now() + MINUTE));
  assert.equal(failed.outcome, 'failed');
  const [{ what = '', where = '' } = {}] = failed.problems;
  assert.match(
    what,
    /^The roll stopped at the service worker: .*Not touched: checkout.*new version of payment-key\.$/,
  );
  assert.match(where, /service worker/);
  assert.ok(!JSON.stringify(failed).includes(bad.key));
  assert.deepEqual(taskIds('checkout'), checkouts);
  await clock.runUntil(clock.now() + 10 * MINUTE);
  assert.ok(rang(since).includes(`${JOB}-failed`));
  // All tasks of that service have the new version by now, and do not stay up: the next one does not get it either.
  await startRun(aws, 'checkout', 'reload-on-change');
  const again = only(await played(clock.now() + MINUTE));
  assert.ok(['skipped', 'failed'].includes(again.outcome), JSON.stringify(again));
  assert.deepEqual(taskIds('checkout'), checkouts);
  changeKey();
  const reports = await played(clock.now() + MINUTE);
  // ECS still tries the tasks that end; the service is not steady until it has started others.
  assert.ok(
    reports.length === 1 && ['succeeded', 'skipped'].includes(reports[0]?.outcome ?? ''),
    JSON.stringify(reports),
  );
  await nextDay();
  assertAllHave('after a good one');
});

test('what a task definition pins, labels that no version bears, services that cannot be rolled, who is not named, and what is gone are told', async () => {
  const { worker, checkout } = services;
  const definitions = { worker: worker.options.secrets, checkout: checkout.options.secrets };
  const since = clock.now();
  worker.options.secrets = [
    { name: 'PAYMENT_KEY', valueFrom: `${arns['payment-key']}:::${crypto.randomUUID()}` },
  ];
  checkout.options.secrets = [{ name: 'PASSWORD', valueFrom: `${arns.database}:password:NOWHERE:` }];
  const unnamed = manage('unnamed', {
    secrets: [{ name: 'TLS', valueFrom: '/checkout/certificate' }],
    desiredCount: 1,
  });
  await clock.runUntil(clock.now() + 5 * MINUTE);
  const proxies = taskIds('proxy');
  const gone = aws.onCall(({ operation, input, caller }) =>
    caller.function?.name === JOB && operation === 'DescribeSecret' && input.SecretId === arns.database
      ? new AwsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.")
      : undefined,
  );
  aws.ssm.write('/checkout/certificate', 'certificate 3', place);
  changeKey();
  const reports = await played(clock.now() + MINUTE);
  const report = reports.find(({ outcome }) => outcome !== 'skipped') ?? assert.fail();
  assert.equal(report.outcome, 'partial', JSON.stringify(report));
  const told = report.problems.map(({ what, where }) => `${where}: ${what}`).join('\n');
  assert.match(told, /^checkout: The service unnamed of the same cluster reads certificate, is not named/m);
  assert.match(
    told,
    /service worker: Its task definition pins the version .* of payment-key, and .* is in use/,
  );
  assert.match(
    told,
    /rds!cluster-0a1b2c3d-d4E5f6: It is not known which version of database is in use: .*can't find/,
  );
  assert.ok(taskIds('proxy').every((id) => !proxies.includes(id)));
  gone();
  checkout.options.controller = 'CODE_DEPLOY';
  const next = await nextDay();
  const again = next.problems.map(({ what, where }) => `${where}: ${what}`).join('\n');
  assert.match(again, /service worker: Its task definition pins/);
  assert.match(again, /service checkout: .*names the label NOWHERE of database, which no version bears/);
  assert.equal(next.outcome, 'partial');
  await nextDay();
  await clock.runUntil(clock.now() + 10 * MINUTE);
  const alarms = rang(since);
  assert.ok(alarms.includes(`${JOB}-partial`) && alarms.includes(`${JOB}-stale-payment-key`), alarms.join());
  assert.ok(!alarms.includes(`${JOB}-stale-certificate`));

  unnamed.options.secrets = [];
  worker.options.secrets = definitions.worker ?? [];
  checkout.options.secrets = definitions.checkout ?? [];
  const refused = await nextDay();
  assert.match(
    JSON.stringify(refused.problems),
    /2 of its tasks have an earlier version of payment-key, .* deployed by CODE_DEPLOY/,
  );
  delete checkout.options.controller;
  assert.equal((await nextDay()).outcome, 'succeeded');
  assertAllHave('after all is mended');
  const states = new Map(aws.alarms.map(({ alarm, to }) => [alarm, to]));
  assert.equal(states.get(`${JOB}-stale-payment-key`), 'OK');
});

test('a function that is killed after any operation ends in the same run, and a run that is stopped there is finished by the next', async () => {
  // In the afternoon no window ends in the middle of a run.
  await played((Math.floor(clock.now() / DAY) + 1) * DAY + 12 * HOUR);
  const operations: string[] = [];
  /** Those after which something is not as it was after the one before. */
  const changing: string[] = [];
  const stopLooking = onOperationEnd(watched(), (name, { changes }) => {
    operations.push(name);
    if (changes > 0) changing.push(name);
  });
  const change = () => {
    changeKey();
    aws.ssm.write('/checkout/certificate', `certificate of ${keys}`, place);
  };
  const finished = async (what: string) => {
    const reports = await played(clock.now() + MINUTE);
    const last = reports.findLast(({ outcome }) => outcome !== 'skipped');
    assert.equal(last?.outcome, 'succeeded', `${what}: ${JSON.stringify(reports)}`);
    assertAllHave(what);
  };
  change();
  await finished('as it should be');
  stopLooking();
  const points = oneOfEachKind(operations, ['worker', 'checkout', 'proxy']);
  assert.ok(points.length > 10, points.join());

  const killedAt = new Set<string>();
  for (let left = points.length; left > 0 && killedAt.size < points.length; left--) {
    const { stopKilling } = killAt(watched(), 'after every operation', points, killedAt);
    change();
    await finished('kills');
    stopKilling();
  }
  assert.deepEqual(
    points.filter((point) => !killedAt.has(point)),
    [],
  );

  assert.ok(changing.length > 4, changing.join());
  for (const point of oneOfEachKind(changing, ['worker', 'checkout', 'proxy'])) {
    const broken = stopAfter(watched(), point);
    change();
    await played(clock.now() + MINUTE);
    assert.ok(broken.happened(), point);
    broken.mend();
    await startRun(aws, 'checkout', 'reload-on-change');
    await finished(`a stop after ${point}`);
  }
});

test('whatever the job may do of secrets, parameters and ECS it needs, and nothing was denied', async (t) => {
  assert.deepEqual(aws.denials, []);
  const evidence = new Evidence();
  evidence.add({ aws });
  const own = evidence.allowed.filter(
    ({ of, action, kind }) =>
      kind === 'identity' && /ReloadJob/.test(of) && /^(ecs|secretsmanager|ssm):/.test(action),
  );
  assert.equal(own.length, 13, JSON.stringify(own));
  for (const each of own)
    await t.test(`${each.statement}: ${each.action}`, () => assert.ok(evidence.isNeeded(each)));
});

test('no value is in a log, event, message or record of a run, and none was asked for', () => {
  const texts = [aws.logs, aws.events.taken, aws.notifications, aws.lambda.durable.list()].map((each) =>
    JSON.stringify(each),
  );
  for (const value of [...aws.secrets.everyValue(), 'certificate 2'])
    assert.deepEqual(
      texts.filter((text) => text.includes(`"${value}"`) || text.includes(`\\"${value}\\"`)),
      [],
    );
  assert.ok(
    !aws.calls.some(({ action, who }) => action === 'secretsmanager:GetSecretValue' && who.includes(JOB)),
  );
});

test('wa-upkeep rehearse plays it, with a new version of each', async () => {
  const { runs, denied } = await playStacks({
    cdkOut: join(folder, 'cdk.out'),
    description: { containers: {}, tasks: { worker: 1, checkout: 1, proxy: 1 }, secrets: {} },
    start: START,
    hours: 1,
  });
  assert.deepEqual(denied, []);
  const said = JSON.stringify(runs);
  assert.ok(
    runs.every(({ outcome }) => outcome === 'succeeded' || outcome === 'skipped'),
    said,
  );
  // What is there at the start is of long ago: nothing is reloaded for it.
  assert.ok(
    runs.every(({ startedAt }) => Date.parse(startedAt) >= START + 10 * MINUTE),
    said,
  );
  assert.equal(
    runs.reduce((sum, { figures }) => sum + (figures.servicesReloaded ?? 0), 0),
    3,
    said,
  );
});
