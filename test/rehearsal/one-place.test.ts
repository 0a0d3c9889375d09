// In one file though long: one night, in which all of it is played.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { cronInOneContainer } from '../../examples/cron-in-one-container.ts';
import { nightlyMigration } from '../../examples/nightly-migration.ts';
import type { RunReport } from '../../functions/shared/run/report.ts';
import { AwsError } from '../../rehearsal/aws/aws-error.ts';
import { type Clock, simulatedClock } from '../../rehearsal/aws/clock.ts';
import { Container } from '../../rehearsal/aws/containers/container.ts';
import type { RunTaskFault } from '../../rehearsal/aws/ecs/run-task.ts';
import type { EcsTask } from '../../rehearsal/aws/ecs/task.ts';
import { type Aws, startAws } from '../../rehearsal/aws/server.ts';
import { cutAtRandom } from '../../rehearsal/faults/random-cuts.ts';
import { seedOfTheDay } from '../../rehearsal/faults/runs.ts';
import { startRun } from '../../rehearsal/operator.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { playStacks } from '../../rehearsal/stacks/play.ts';
import { besideFormula, countCalls, measuredRun } from './calls-of-runs.ts';
import { Evidence } from './permissions/needed.ts';
import { assertDocumented, runRecords } from './run-records.ts';

const START = Date.parse('2027-01-10T23:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** The window, in Berlin's winter, begins at 00:00 UTC; the runs by hand after the scheduled one. */
const FIRST_BY_HAND = Date.parse('2027-01-11T00:36:00Z');
/** An alarm is quiet again by then. */
const BETWEEN = 16 * MINUTE;

/** Of the token, what no quoting changes. */
const CORE = 'tk-5f3a9c07';
const TOKEN = `it's "${CORE}"\n$HOME é`;

interface ByHand {
  what: string;
  /** What the next RunTask meets, and those after it. */
  faults?: RunTaskFault[];
  /** What the program does. @default ends well */
  script?: string;
  before?(stage: Stage): void;
  outcome: RunReport['outcome'];
  /** In the report's words. */
  problem?: RegExp;
  /** Until the next one, in milliseconds. @default BETWEEN */
  takes?: number;
  /** Tasks that ECS was asked for and began. @default 1 */
  tasks?: number;
  check?(report: RunReport, stage: Stage): void;
}

interface Stage {
  aws: Aws;
  clock: Clock;
  /** The tasks that RunTask started in this run. */
  tasks: EcsTask[];
}

const placement = (reason: string): RunTaskFault => ({ at: 'placement', reason });

/** How often ECS was asked for the task of the run whose function dies. */
let asked = 0;
/** How often the function of another was cut. */
let cuts = new Map<string, number>();

/** The migration's runs, one after the other in one night. What of it fails rings `orders-migrate-failed`. */
const RUNS: ByHand[] = [
  {
    what: 'a command that fails is told with its exit code and its last words',
    script: 'echo begun; echo "no such column" >&2; exit 3',
    outcome: 'failed',
    problem: /^The command ended with exit code 3\. It last said: begun\nno such column$/,
  },
  {
    what: 'want of memory is told as such',
    faults: [{ at: 'running', what: 'out-of-memory' }],
    script: 'sleep 60',
    outcome: 'failed',
    problem: /exit code 137\. It was killed for want of memory \(OutOfMemoryError/,
  },
  {
    what: 'an image that is not pulled is told as such, and is not tried again',
    faults: [
      {
        at: 'start',
        stoppedReason: 'CannotPullContainerError: pull image manifest has been retried 5 time(s): not found',
      },
    ],
    outcome: 'failed',
    problem: /^The command was not started: CannotPullContainerError/,
    check: ({ problems: [problem, ...others] }) => {
      assert.match(problem?.next ?? '', /image and its tag are there/);
      assert.deepEqual(others, [], 'of an output that there is not');
    },
  },
  {
    what: 'a program that the image does not have is told as such',
    script: '',
    before: () => program.remove(),
    outcome: 'failed',
    problem: /CannotStartContainerError.*executable file not found/,
  },
  {
    what: 'a task that an earlier run left behind is stopped first, one that is being stopped is waited for, and want of capacity passes: before the task is accepted, and after',
    takes: 12 * MINUTE,
    faults: [
      placement('RESOURCE:MEMORY'),
      { at: 'request', error: new AwsError('ClientException', 'Capacity is unavailable at this time.') },
      { at: 'start', stoppedReason: 'Capacity is unavailable at this time. Please try again later.' },
    ],
    script: 'echo migrated',
    outcome: 'succeeded',
    before({ aws, clock }) {
      const options = {
        ...place,
        cluster: 'shop',
        service: 'orders',
        containers: [],
        isAlone: true,
        startedBy: 'orders/migrate',
        tags: { 'upkeep:job': 'orders/migrate' },
      };
      Object.assign(aws.ecs.addTask(options), { createdAt: clock.now() - HOUR });
      // As the last run stopped it; its container takes its stopTimeout. The service had another task definition then.
      const stopping = aws.ecs.addTask({ ...options, family: 'orders-of-last-year' });
      Object.assign(stopping, { desiredStatus: 'STOPPED', lastStatus: 'STOPPING' });
      clock.at(clock.now() + 3 * MINUTE, () => {
        Object.assign(stopping, { lastStatus: 'STOPPED', stoppedAt: clock.now() });
      });
    },
    tasks: 4,
    check({ figures }, { tasks: [left, stopping, ...own] }) {
      assert.equal(figures.tasksWithoutPlace, 3);
      assert.match(left?.stoppedReason ?? '', /left over from an earlier run/);
      const free = Math.max(...[left, stopping].map((task) => task?.stoppedAt ?? Number.POSITIVE_INFINITY));
      assert.ok(own.every(({ createdAt }) => createdAt > free));
    },
  },
  {
    what: 'what does not pass is not tried again',
    faults: [placement('ATTRIBUTE')],
    outcome: 'failed',
    problem: /^The command was not started: ATTRIBUTE/,
    tasks: 0,
  },
  {
    what: 'an essential container beside it that ends is named',
    faults: [{ at: 'running', what: 'other-container-ends' }],
    script: 'sleep 60',
    outcome: 'failed',
    problem: /because the essential container proxy beside it ended with exit code 2/,
  },
  {
    what: 'a task whose host is taken away is gone',
    faults: [{ at: 'running', what: 'interrupted' }],
    script: 'sleep 60',
    outcome: 'failed',
    problem: /^The task ended before its command: Your Spot Task was interrupted/,
    check: ({ figures }) => assert.equal(figures.containersGone, 1),
  },
  {
    what: 'a function that dies when ECS has just taken the request starts no second task',
    takes: 8 * MINUTE,
    script: 'echo started >>/srv/starts; sleep 1',
    before({ aws }) {
      const stop = aws.onCall(({ operation }) => {
        if (operation !== 'RunTask') return undefined;
        asked += 1;
        // The request is on its way already; its answer reaches nobody.
        if (asked === 1) aws.killFunction('orders-migrate');
        else stop();
        return undefined;
      });
    },
    outcome: 'succeeded',
    check: () => assert.equal(asked, 2, 'ECS was asked again'),
  },
  {
    what: 'a function that has fifteen seconds, is ended by force twice at random moments and once at its report, starts one task and learns how it ended',
    takes: 8 * MINUTE,
    script: 'echo started >>/srv/cut; sleep 1',
    before({ aws }) {
      cuts = cutAtRandom(aws, { functions: ['orders-migrate'], seed: seedOfTheDay(), cuts: 2 });
    },
    outcome: 'succeeded',
    check: ({ figures }) => {
      assert.equal(cuts.get('orders-migrate'), 3);
      assert.equal(figures.containersSucceeded, 1);
      assert.equal(linesIn(containers, '/srv/cut'), 'started\n');
    },
  },
  {
    what: 'after its time, counted from the start of its container, however slow that was, it is stopped, and failed though it heeds that and ends with 0',
    faults: [{ at: 'pending', milliseconds: 8 * MINUTE }],
    script: 'trap "exit 0" TERM; while :; do sleep 0.2; done',
    takes: 58 * MINUTE,
    outcome: 'failed',
    problem: /^The command was stopped after 18\d\d seconds/,
    check(_, { tasks: [task] }) {
      assert.match(task?.stoppedReason ?? '', /^upkeep: its time is over/);
      assert.deepEqual([...(task?.ends.values() ?? [])], [{ exitCode: 0 }]);
      assert.ok((task?.stoppedAt ?? 0) - (task?.createdAt ?? 0) > 38 * MINUTE);
    },
  },
  {
    what: 'one that has not come to run when the window ends is stopped, and was never run',
    faults: [{ at: 'pending', milliseconds: 5 * HOUR }],
    script: 'echo started >>/srv/never',
    takes: HOUR,
    outcome: 'failed',
    problem: /^The command was not started: It had not come to run when its time was over/,
    check(_, { tasks: [task] }) {
      assert.equal(task?.stoppedReason, 'upkeep: its time is over');
      assert.equal(linesIn(containers, '/srv/never'), '');
    },
  },
];

/** What the containers of the service have at /srv/migrate. */
const program = {
  script: 'exit 0',
  removed: false,
  set(script: string) {
    Object.assign(this, { script, removed: false });
  },
  remove() {
    this.removed = true;
  },
};

const place = { account: '', region: '' };
const folder = mkdtempSync(join(tmpdir(), 'one-place-'));
const clock = simulatedClock(START, folder);
const containers: Container[] = [];
let aws: Aws;
/** Of the scheduled runs, by job. */
const measured: Record<string, ReturnType<typeof measuredRun>> = {};
const done: { run: ByHand; report: RunReport | undefined; stage: Stage; rang: boolean }[] = [];
const desk: Container[] = [];

async function startContainer(name: string): Promise<Container> {
  const container = await Container.start({ name, folder: join(folder, `${name}-${containers.length}`) });
  containers.push(container);
  const path = container.path('/srv/migrate');
  if (name === 'app' && !program.removed) {
    writeFileSync(path, `#!/bin/sh\n${program.script}\n`);
    chmodSync(path, 0o755);
  }
  return container;
}

function writeCron(container: Container): void {
  const path = container.path('/srv/close-tickets');
  writeFileSync(
    path,
    '#!/bin/sh\necho "$* because $REASON with $DESK_TOKEN:" $(cat) >>/srv/closed\necho "logged in by $DESK_TOKEN"\n',
  );
  chmodSync(path, 0o755);
}

before(async () => {
  const app = new App({ outdir: join(folder, 'cdk.out'), analyticsReporting: false });
  const { account, region } = nightlyMigration(app);
  Object.assign(place, { account, region });
  cronInOneContainer(app);
  aws = await startAws({ cdkOut: app.synth().directory, clock, sessions: { timing: { readingDelay: 50 } } });
  const start = async () => [await startContainer('app'), await startContainer('proxy')];
  program.set(
    'echo "$@" "$LOCK_TIMEOUT"; for i in 1 2 3; do echo "table $i"; done; printf %s "$MIGRATOR_PASSWORD" >/srv/given',
  );
  aws.secrets.put(
    `arn:aws:secretsmanager:${region}:${account}:secret:orders/migrator-a1B2c3`,
    JSON.stringify({ password: TOKEN }),
  );
  const where = { account, region, cluster: 'shop' };
  aws.ecs.manageService({
    ...where,
    service: 'orders',
    desiredCount: 1,
    start,
    running: [await start()],
    capacity: {
      launchType: 'FARGATE',
      platformVersion: 'LATEST',
      networkConfiguration: { awsvpcConfiguration: { subnets: ['subnet-1'], securityGroups: ['sg-1'] } },
    },
    definition: {
      networkMode: 'awsvpc',
      taskRoleArn: `arn:aws:iam::${account}:role/orders-task`,
      executionRoleArn: `arn:aws:iam::${account}:role/orders-execution`,
      container: {
        logConfiguration: {
          logDriver: 'awslogs',
          options: {
            'awslogs-group': '/ecs/orders',
            'awslogs-region': region,
            'awslogs-stream-prefix': 'orders',
          },
        },
      },
    },
  });
  const secret = `arn:aws:secretsmanager:${region}:${account}:secret:desk/api-a1B2c3`;
  aws.secrets.put(secret, JSON.stringify({ token: TOKEN }));
  for (let number = 0; number < 3; number++) {
    const container = await startContainer('app');
    desk.push(container);
    writeCron(container);
    aws.ecs.addTask({ ...where, service: 'desk', containers: [container] });
  }
  // One goes away just when its command is to begin.
  const stop = aws.onCall(({ operation, input }) => {
    if (operation !== 'ExecuteCommand') return undefined;
    stop();
    const task = aws.ecs.tasks.find(({ arn }) => arn === input.task);
    void task?.stop('scaling in');
    return undefined;
  });
  const calls = countCalls(aws);
  await clock.runUntil(FIRST_BY_HAND - MINUTE);
  measured.migrate = measuredRun(aws, calls, 'orders-migrate');
  let [reports, tasks] = [reportsOf(aws).length, started().length];
  let at = FIRST_BY_HAND;
  aws.logGroups.beginsWithEmptyPage = true;
  for (const run of RUNS) {
    program.set(run.script ?? 'exit 0');
    run.before?.({ aws, clock, tasks: [] });
    aws.ecs.runTasks.faults.push(...(run.faults ?? []));
    clock.at(at, () => startRun(aws, 'orders', 'migrate'));
    const alarms = aws.alarms.length;
    const { takes = BETWEEN } = run;
    await clock.runUntil(at + takes - MINUTE);
    at += takes;
    done.push({
      run,
      report: reportsOf(aws)
        .slice(reports)
        .find(({ job }) => job === 'migrate'),
      stage: { aws, clock, tasks: started().slice(tasks) },
      rang: aws.alarms
        .slice(alarms)
        .some(({ alarm, to }) => alarm === 'orders-migrate-failed' && to === 'ALARM'),
    });
    [reports, tasks] = [reportsOf(aws).length, started().length];
  }
  measured['close-tickets'] = measuredRun(aws, calls, 'desk-close-tickets');
});
after(async () => {
  await aws.close();
  await Promise.all(containers.map((container) => container.remove()));
  clock.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What stands in a file of all containers. */
function linesIn(of: Container[], path: string): string {
  return of
    .map((each) => (existsSync(each.path(path)) ? readFileSync(each.path(path), 'utf8') : ''))
    .join('');
}

/** Tasks that belong to no service. */
function started(): EcsTask[] {
  return aws.ecs.tasks.filter(({ isAlone }) => isAlone);
}

interface Detail {
  service: string;
  task: string;
  outcome: string;
  exitCode: number;
  firstOutput: string;
  output: string;
}

test("the migration runs in a task of its own, made as the service's, and the report has the beginning and the end of its output", () => {
  const report = reportsOf(aws).find(({ job }) => job === 'migrate');
  assert.equal(report?.outcome, 'succeeded', JSON.stringify(report));
  assert.deepEqual(report.figures, {
    containersSucceeded: 1,
    containersFailed: 0,
    containersGone: 0,
    containersFailedOrders: 0,
    tasksNotReady: 0,
    tasksWithoutPlace: 0,
  });
  const { containers: [detail] = [] } = report.details as { containers: Detail[] };
  assert.equal(detail?.firstOutput, '--batch 10000 5s\ntable 1\ntable 2\ntable 3\n');
  assert.equal(detail.output, detail.firstOutput);
  assert.equal(linesIn(containers, '/srv/given'), TOKEN);
  const [task] = started();
  assert.deepEqual(
    [task?.id, task?.startedBy, task?.tags],
    [detail.task, 'orders/migrate', { 'upkeep:job': 'orders/migrate' }],
  );
  assert.equal(
    aws.ecs.tasks.filter(({ isAlone, lastStatus }) => !isAlone && lastStatus === 'RUNNING').length,
    3,
  );
});

describe('of the migration as a new task', () => {
  for (const [index, { what, outcome, problem, tasks = 1, check }] of RUNS.entries())
    test(what, () => {
      const { report, stage, rang } = done[index] ?? assert.fail();
      assert.equal(report?.outcome, outcome, JSON.stringify(report));
      if (problem) assert.match(report.problems[0]?.what ?? '', problem);
      else assert.deepEqual(report.problems, []);
      assert.equal(stage.tasks.length, tasks);
      assert.ok(stage.tasks.every(({ lastStatus }) => lastStatus === 'STOPPED'));
      assert.equal(rang, outcome === 'failed', 'orders-migrate-failed');
      check?.(report, stage);
    });

  test('its secrets stand in a task definition of its own, made once of the service, and in nothing that RunTask is given', () => {
    const { account, region } = place;
    const own = `arn:aws:ecs:${region}:${account}:task-definition/orders-migrate`;
    const asked = aws.calls.filter(({ action }) => /^ecs:(RunTask|RegisterTaskDefinition)$/.test(action));
    assert.deepEqual(
      [...new Set(asked.map(({ action, resource }) => `${action} ${resource}`))],
      [`ecs:RegisterTaskDefinition ${own}:*`, `ecs:RunTask ${own}:1`],
    );
    assert.equal(asked.filter(({ action }) => action === 'ecs:RegisterTaskDefinition').length, 1);
    assert.ok(!aws.calls.some(({ action, who }) => /GetSecretValue/.test(action) && /Migrate/.test(who)));
  });

  test('the one whose function died was started once', () => {
    assert.equal(linesIn(containers, '/srv/starts'), 'started\n');
  });
});

test('cron as docker exec in one container: in one that is there, and in another where that one went away before its start', () => {
  const report = reportsOf(aws).find(({ job }) => job === 'close-tickets');
  assert.equal(report?.outcome, 'succeeded', JSON.stringify(report));
  assert.equal(report.figures.containersSucceeded, 1);
  assert.match(
    report.problems[0]?.what ?? '',
    /^The command was not begun in this container, and another one was tried/,
  );
  assert.equal(
    linesIn(desk, '/srv/closed'),
    `--idle 14 days because nobody's turn with ${TOKEN}: billing shipping\n`,
  );
  const { containers: [detail] = [] } = report.details as { containers: Detail[] };
  assert.equal(detail?.output, 'logged in by ****\n');
});

test('whatever the job may do of ECS, roles, logs and secrets it needs: without it this night would have been denied something', async (t) => {
  const evidence = new Evidence();
  evidence.add({ aws });
  const own = evidence.allowed.filter(
    ({ of, action, kind }) =>
      kind === 'identity' &&
      (/MigrateNewTask/.test(of)
        ? /^(ecs|iam|logs:Get)/.test(action)
        : /CloseTickets/.test(of) && /^(ecs|secretsmanager)/.test(action)),
  );
  assert.equal(own.length, 14, JSON.stringify(own));
  for (const each of own)
    await t.test(`${each.of}: ${each.action}`, () => assert.ok(evidence.isNeeded(each), each.statement));
});

test('a secret of the command is in no log, event, message or record of a run', () => {
  const told = [
    aws.logs,
    aws.events.taken,
    aws.notifications,
    aws.lambda.durable.list().map(({ operations }) => operations),
    aws.calls,
  ];
  const texts = told.map((each) => JSON.stringify(each));
  assert.ok(texts.every((text) => text.length > 2));
  assert.deepEqual(
    texts.filter((text) => text.includes(CORE)),
    [],
  );
});

test('nothing was denied, and a run leaves on record what the docs say', () => {
  assert.deepEqual(aws.denials, []);
  const { 'close-tickets': inOne, migrate } = runRecords({ aws });
  assert.ok(inOne && migrate);
  assertDocumented({ 'run-in-containers': inOne, 'run-in-new-task': migrate });
});

test('what both ask of AWS is what their formulas say', () => {
  const { migrate = assert.fail(), 'close-tickets': inOne = assert.fail() } = measured;
  assert.deepEqual(
    [
      ...besideFormula('run-in-new-task', {}, migrate),
      ...besideFormula('run-in-containers of one container', {}, inOne),
    ],
    [],
  );
});

test('wa-upkeep rehearse plays both, with what is described to stand in the containers', async () => {
  const srv = join(folder, 'srv');
  mkdirSync(srv);
  for (const name of ['migrate', 'close-tickets'])
    writeFileSync(join(srv, name), `#!/bin/sh\necho ${name} done\n`, { mode: 0o755 });
  const { account, region } = place;
  const { runs, denied } = await playStacks({
    cdkOut: join(folder, 'cdk.out'),
    description: {
      containers: { app: { folders: { '/srv': srv } } },
      tasks: { orders: 1, desk: 2 },
      secrets: {
        [`arn:aws:secretsmanager:${region}:${account}:secret:desk/api-a1B2c3`]: { token: 'any' },
        [`arn:aws:secretsmanager:${region}:${account}:secret:orders/migrator-a1B2c3`]: { password: 'any' },
      },
    },
    start: START,
    hours: 5,
  });
  assert.deepEqual(
    runs.map(({ job, outcome, problems }) => [job, outcome, problems]),
    [
      ['migrate', 'succeeded', []],
      ['close-tickets', 'succeeded', []],
    ],
  );
  assert.deepEqual(denied, []);
});
