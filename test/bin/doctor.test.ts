// In one file though long: one stage, on which each misconfiguration is made and taken back.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { stripVTControlCharacters, styleText } from 'node:util';
import { PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { DeleteMessageCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { deploymentNamed } from '../../bin/deployments.ts';
import {
  type SynthesizedDeployment,
  synthesizedDeployments,
} from '../../bin/doctor/before-deploy/synthesized.ts';
import type { Check } from '../../bin/doctor/check.ts';
import { probeCallbacks } from '../../bin/doctor/checks/callback-probe.ts';
import { lookForExamination } from '../../bin/doctor/checks/run-lists.ts';
import { CHECKS, CHECKS_WITH_SECRETS } from '../../bin/doctor/checks.ts';
import { type Diagnosis, examine } from '../../bin/doctor/examine.ts';
import { type Clients, clientsIn, ExaminedDeployment } from '../../bin/doctor/examined-deployment.ts';
import { executionsOf } from '../../functions/shared/run/executions.ts';
import { clientsOf } from '../../rehearsal/clients.ts';
import { callStartRun } from '../../rehearsal/operator.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import { createWorld, type World } from '../../rehearsal/world.ts';
import { buildStage, type Stage } from '../rehearsal/stage.ts';
import { commandLine, type Ended, inTerminal, inThisProcess } from './command-line.ts';
import { COMPILE_CACHE } from './compile-cache.ts';
import { BEFORE_DEPLOY_MISCONFIGURATIONS } from './doctor/before-deploy-misconfigurations.ts';
import { CONTAINER_MISCONFIGURATIONS } from './doctor/container-misconfigurations.ts';
import { SEEN_OF_LATAM, spoilTemplates } from './doctor/deployed-wrong.ts';
import { JOB_MISCONFIGURATIONS } from './doctor/job-misconfigurations.ts';
import { type Misconfiguration, set } from './doctor/misconfiguration.ts';
import { MISCONFIGURATIONS, reachedByRunCommand } from './doctor/misconfigurations.ts';
import { NETWORK_MISCONFIGURATIONS, SOUND_NETWORKS } from './doctor/network-misconfigurations.ts';
import { NEW_TASK_MISCONFIGURATIONS, newTask } from './doctor/new-task-misconfigurations.ts';
import { grantedByPolicy, TASK_SECRET_MISCONFIGURATIONS } from './doctor/task-secret-misconfigurations.ts';

/** What doctor may do here: what its checks say that they call, and what finding the deployments needs. */
const ACTIONS = [
  ...new Set([
    'lambda:ListFunctions',
    'lambda:GetFunctionConfiguration',
    ...CHECKS.filter(({ when }) => when !== 'before the deploy').flatMap(({ actions }) => actions),
  ]),
].sort();

/** And before a deploy. */
const BEFORE_ACTIONS = [
  ...new Set(CHECKS.filter(({ when }) => when !== 'deployed').flatMap(({ actions }) => actions)),
].sort();

/** What it may do besides, where it is to mend. */
const FIXES = CHECKS.flatMap(({ fixes = [] }) => fixes);

describe('doctor', () => {
  let stage: Stage;
  let world: World;
  let environment: Record<string, string>;

  before(async () => {
    stage = await buildStage();
    const { emea } = clientsOf(
      { rows: 2_000, unread: 0, media: 20, containers: 'few', rotation: true },
      Date.now(),
    );
    // In real time, in which no schedule is to come due here.
    world = await createWorld({
      ...stage,
      clients: emea ? { emea } : {},
      jobs: [],
      start: undefined,
      change: spoilTemplates,
    });
    environment = environmentFor(ACTIONS);
    Object.assign(
      process.env,
      environmentFor([...ACTIONS, ...BEFORE_ACTIONS, 'secretsmanager:GetSecretValue']),
    );
  });
  after(async () => {
    for (const name of Object.keys(environment ?? {})) if (name !== 'PATH') delete process.env[name];
    await world?.close();
    await stage.close();
  });

  /** Of somebody who may do so much, to whatever there is. */
  function environmentFor(actions: string[], deployment = 'emea'): Record<string, string> {
    const [startRun] = world.aws.deployed
      .ofType('AWS::Lambda::Function')
      .filter(({ name }) => name === `${deployment}-start-run`);
    assert.ok(startRun);
    const { accessKeyId, secretAccessKey, sessionToken } = world.aws.credentialsFor({
      arn: `arn:aws:sts::${startRun.account}:assumed-role/operator/somebody`,
      policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] },
    });
    return {
      ...COMPILE_CACHE,
      PATH: process.env.PATH ?? '',
      AWS_ENDPOINT_URL: world.aws.endpoint,
      AWS_REGION: startRun.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken,
    };
  }

  function cli(words: string[], env = environment): Promise<Ended> {
    return inThisProcess(['doctor', ...words], env);
  }

  /** Likewise in a process of its own, through pipes. */
  function piped(words: string[], env = environment): Promise<Ended> {
    return commandLine(['doctor', ...words], env);
  }

  it('gives a sound deployment no warning', async () => {
    const { status, out, err } = await cli(['emea', '--json']);
    const found: Diagnosis[] = JSON.parse(out);
    assert.equal(err, '');
    assert.deepEqual(
      found.filter((each) => each.status !== 'ok'),
      [],
    );
    assert.equal(status, 0);
    // None of the checks has nothing to look at here, but for those of what is reached otherwise, and of what is started.
    assert.deepEqual(
      [...new Set(found.map(({ check }) => check)), 'instances for Run Command', 'new tasks'].sort(),
      CHECKS.filter(({ when }) => when !== 'before the deploy')
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('gives instances that Run Command reaches no warning', async () => {
    const back = reachedByRunCommand('heard of')(world);
    const clients = clientsIn(undefined);
    const found = await examine(
      new ExaminedDeployment(await deploymentNamed(clients.lambda, 'emea'), clients),
      CHECKS.filter(({ name }) => ['services', 'instances for Run Command'].includes(name)),
    );
    back();
    assert.deepEqual(
      found.filter(({ status }) => status !== 'ok'),
      [],
    );
    assert.ok(found.some(({ saw }) => saw === 'Systems Manager hears of 1 instances.'));
  });

  it('gives new tasks with a secret no warning, nor a service that has no tasks but theirs', async () => {
    const clients = clientsIn(undefined);
    const checks = CHECKS.filter(({ name }) => ['services', 'secrets', 'new tasks'].includes(name));
    const upkeep = await deploymentNamed(clients.lambda, 'emea');
    const jobs = Object.entries(upkeep.jobs).filter(([name]) => name === 'log-cleanup');
    const look = async (settings: object) => {
      const back = newTask({ settings })(world);
      const deployment = new ExaminedDeployment({ ...upkeep, jobs: Object.fromEntries(jobs) }, clients);
      const found = await examine(deployment, checks).finally(back);
      return found.map(({ check, status, saw }) => `${check}, ${status}: ${saw}`);
    };
    assert.deepEqual(await look({}), [
      'services, ok: It is there, as whose tasks log-cleanup starts one.',
      'new tasks, ok: It can be started of arn:aws:ecs:eu-central-1:222222222222:task-definition/coreapp:1, and arn:aws:iam::222222222222:role/whatsapp-emea-commands-execution may fetch its secrets.',
    ]);
    // As it is synthesized where the app makes the secret itself, or the service.
    const [, ofSecret] = await look({ secrets: { TOKEN: `\${TokenA1B2C3D4}:token::` } });
    assert.match(ofSecret ?? '', /^new tasks, ok: It can be started of \S+$/);
    assert.deepEqual(await look({ service: `\${ServiceD69D759B.Name}` }), []);
  });

  it('gives tasks no warning whose role only the policy of their secret lets read it', async () => {
    const back = grantedByPolicy(world);
    const clients = clientsIn(undefined);
    const deployment = new ExaminedDeployment(await deploymentNamed(clients.lambda, 'emea'), clients);
    const checks = CHECKS.filter(({ name }) => name === 'secrets of tasks');
    const found = await examine(deployment, checks).finally(back);
    assert.deepEqual(
      found.map(({ of, status }) => [of, status]).sort(),
      ['coreapp', 'master', 'webapp'].map((service) => [`whatsapp-emea/${service}`, 'ok']),
      JSON.stringify(found),
    );
  });

  it('shows only what is wrong if asked to, on a terminal in colours, and exits with 1', async () => {
    world.aws.sns.unconfirmed.add('whatsapp-oncall@example.com');
    const { status, shown } = await inTerminal(['doctor', 'emea', '--quiet'], environment);
    world.aws.sns.unconfirmed.clear();
    assert.equal(status, 1);
    assert.ok(shown.includes(styleText('red', 'failed        ', { validateStream: false })), shown);
    assert.match(
      stripVTControlCharacters(shown),
      /^emea: \d+ ok, 1 failed\n {2}failed {10}addressees of alarms, \S+: whatsapp-oncall@example\.com has not confirmed [^\n]+\n {20}aws sns subscribe --topic-arn \S+ --protocol email --notification-endpoint whatsapp-oncall@example\.com[^\n]+\n$/,
    );
  });

  it('finds what Lambda must list by either text of its reference, and says where it is not', async () => {
    const { operations, durable } = world.aws.lambda;
    const list = operations.ListDurableExecutionsByFunction;
    assert.ok(list);
    const clients = clientsIn(environment.AWS_REGION);
    const deployment = new ExaminedDeployment(await deploymentNamed(clients.lambda, 'emea'), clients);
    const look = () => lookForExamination(deployment, 'database-size', async () => {});
    durable.unqualifiedList = '$LATEST';
    const under = await look();
    durable.unqualifiedList = 'all versions';
    assert.match(under.saw, /under its version only/);
    operations.ListDurableExecutionsByFunction = { ...list, does: () => ({ DurableExecutions: [] }) };
    const gone = await look().finally(() => {
      operations.ListDurableExecutionsByFunction = list;
    });
    assert.equal(gone.status, 'failed');
    assert.match(gone.saw, /lists it neither with the function nor with a version/);
  });

  it('finds that callbacks do not come through the bus, and leaves none behind where they do', async () => {
    const clients = clientsIn(undefined);
    const deployment = new ExaminedDeployment(await deploymentNamed(clients.lambda, 'emea'), clients);
    const [queue] = world.aws.deployed
      .ofType('AWS::SQS::Queue')
      .filter(({ name }) => name === 'emea-gc-notifications');
    assert.ok(queue);
    world.aws.events.unreachable.add(queue.arn);
    const [lost] = await probeCallbacks(deployment, 0).finally(() => world.aws.events.unreachable.clear());
    assert.equal(lost?.status, 'failed');
    assert.match(
      lost.saw,
      /^A callback of message and of media garbage collection was put on the bus, and did not come /,
    );
    assert.match(
      'mend' in lost ? lost.mend : '',
      /emea-callbacks-dead-letters --message-attribute-names All /,
    );
    const [came] = await probeCallbacks(deployment);
    assert.equal(came?.status, 'ok', came?.saw);
    assert.match(came.saw, /comes to the queue/);
    assert.equal(await messagesIn('emea-gc-notifications'), 0);

    // One that a run was ended before it read: doctor, however often it is asked, brings it no nearer to the dead letters.
    const detail = { services: [{ media: { gc: { status: 'complete', items_deleted: 1 } } }] };
    await clients.events.send(
      new PutEventsCommand({
        Entries: [
          {
            EventBusName: 'emea-callbacks',
            Source: 'whatsapp',
            DetailType: 'Callback',
            Resources: ['emea'],
            Detail: JSON.stringify(detail),
          },
        ],
      }),
    );
    while ((await messagesIn('emea-gc-notifications')) === 0) await setTimeout(20);
    for (let look = 0; look < 6; look++) {
      const [waits] = await probeCallbacks(deployment);
      assert.equal(waits?.status, 'ok');
      assert.match(waits.saw, /^Not tried, for a callback waits there/);
    }
    const { Messages: [left] = [] } = await clients.sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: queueUrlOf('emea-gc-notifications'),
        MessageSystemAttributeNames: ['ApproximateReceiveCount'],
      }),
    );
    assert.equal(left?.Attributes?.ApproximateReceiveCount, '1');
    await clients.sqs.send(
      new DeleteMessageCommand({
        QueueUrl: queueUrlOf('emea-gc-notifications'),
        ReceiptHandle: left?.ReceiptHandle,
      }),
    );
    assert.equal(await messagesIn('emea-gc-notifications-dead-letters'), 0);
  });

  const queueUrlOf = (name: string) => `${world.aws.endpoint}/222222222222/${name}`;

  async function messagesIn(name: string): Promise<number> {
    const { Attributes: counts = {} } = await clientsIn(undefined).sqs.send(
      new GetQueueAttributesCommand({
        QueueUrl: queueUrlOf(name),
        AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
      }),
    );
    return Object.values(counts).reduce((sum, count) => sum + Number(count), 0);
  }

  it('says where it could not look, and which right is missing', async () => {
    const { status, out } = await piped(
      ['emea', '--quiet'],
      environmentFor(ACTIONS.filter((action) => action !== 'scheduler:ListSchedules')),
    );
    assert.equal(status, 1);
    assert.equal(out, stripVTControlCharacters(out));
    assert.match(out, /\n {2}could not look {2}schedules: [^\n]+\n {20}You need scheduler:ListSchedules: /);
  });

  it('takes no word that it does not know', async () => {
    assert.equal((await cli(['--fast'])).status, 2);
    assert.match((await cli(['atlantis'])).err, /There is no deployment atlantis in \S+\. There: .*emea/);
  });

  it('asks AWS for no more than docs/command-line.md lists', () => {
    const [, row = ''] = /^\| `doctor` \| (.*) \|$/m.exec(readFileSync('docs/command-line.md', 'utf8')) ?? [];
    assert.deepEqual(row.match(/[a-z0-9-]+:\w+/g)?.sort(), ACTIONS);
    const [, before = ''] =
      /^\| `doctor --before-deploy` \| (.*) \|$/m.exec(readFileSync('docs/command-line.md', 'utf8')) ?? [];
    assert.deepEqual(before.match(/[a-z0-9-]+:\w+/g)?.sort(), BEFORE_ACTIONS);
    const [, fixes = ''] =
      /^\| `doctor --fix` \| (.*) \|$/m.exec(readFileSync('docs/command-line.md', 'utf8')) ?? [];
    assert.deepEqual(fixes.match(/[a-z-]+:\w+/g)?.sort(), FIXES.sort());
  });

  /** As the command does it, but that names have other addresses for this machine. */
  async function examined(
    { job, synthesized: change, addresses = {} }: Partial<Misconfiguration>,
    checks: readonly Check[],
  ): Promise<Diagnosis[]> {
    const clients: Clients = {
      ...clientsIn(undefined),
      addressesOf: async (host) => (addresses[host] === undefined ? [] : [addresses[host]]),
    };
    const synthesized = change && toBe('emea');
    if (synthesized) change?.(synthesized);
    const upkeep = synthesized?.upkeep ?? (await deploymentNamed(clients.lambda, 'emea'));
    const jobs = Object.entries(upkeep.jobs).filter(([name]) => (job ?? name) === name);
    return examine(
      new ExaminedDeployment({ ...upkeep, jobs: Object.fromEntries(jobs) }, clients, synthesized),
      checks,
    );
  }

  /** Read anew, for it is to be changed. */
  function toBe(name: string): SynthesizedDeployment {
    const found = synthesizedDeployments(stage.cdkOut).find(({ upkeep }) => upkeep.deployment === name);
    assert.ok(found);
    return found;
  }

  it('gives what is sound no warning before it is deployed', async () => {
    const { status, out, err } = await piped(
      ['emea', '--before-deploy', '--cdk-out', stage.cdkOut, '--read-secrets', '--json'],
      environmentFor([...BEFORE_ACTIONS, 'secretsmanager:GetSecretValue']),
    );
    assert.equal(err, '');
    const found: Diagnosis[] = JSON.parse(out);
    assert.deepEqual(
      found.filter((each) => each.status !== 'ok'),
      [],
    );
    assert.equal(status, 0);
    assert.deepEqual(
      [
        ...new Set(found.map(({ check }) => check)),
        'instances for Run Command',
        'new tasks',
        'permissions boundaries',
      ].sort(),
      CHECKS.filter(({ when }) => when !== 'deployed')
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('shows on a terminal what is missing before a deploy, in colours', async () => {
    const arn = 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:whatsapp/emea/api-user-d4E5f6';
    const back = set(world.aws.secrets.secret(arn), { versions: [] });
    const { status, shown } = await inTerminal(
      ['doctor', 'emea', '--before-deploy', '--cdk-out', stage.cdkOut, '--quiet'],
      environmentFor(BEFORE_ACTIONS),
    );
    back();
    assert.equal(status, 1);
    assert.ok(shown.includes(styleText('red', 'failed        ', { validateStream: false })), shown);
    assert.match(
      stripVTControlCharacters(shown),
      /^emea: \d+ ok, 1 failed\n {2}failed {10}secrets, whatsapp\/emea\/api-user-d4E5f6: It has no value yet\.\n/,
    );
  });

  it('looks before a deploy at what the credentials are for, and says what is to be done first', async () => {
    const ask = (...words: string[]) => cli(['--before-deploy', ...words]);
    assert.match(
      (await ask('--cdk-out', 'nowhere')).err,
      /There is no cloud assembly in nowhere: npx cdk synth writes one/,
    );
    const at = ['--cdk-out', stage.cdkOut];
    assert.match((await ask('atlantis', ...at)).err, /There is no deployment atlantis in .*emea/);
    assert.match(
      (await ask('latam', ...at)).err,
      /latam is to be in the account 111111111111, and these credentials are of 222222222222/,
    );
    assert.match((await ask('--permissions', ...at)).err, /not with --before-deploy/);
  });

  for (const { what, make, addresses } of SOUND_NETWORKS)
    it(`gives ${what} no warning`, async () => {
      const back = make(world);
      try {
        const networks = CHECKS.filter(({ name }) =>
          /network|security groups|services|definitions/.test(name),
        );
        const found = await examined({ ...(addresses && { addresses }) }, networks);
        assert.deepEqual(
          found.filter((each) => each.status !== 'ok'),
          [],
        );
        assert.ok(found.length > networks.length);
      } finally {
        back();
      }
    });

  for (const misconfiguration of [
    ...MISCONFIGURATIONS,
    ...CONTAINER_MISCONFIGURATIONS,
    ...NETWORK_MISCONFIGURATIONS,
    ...BEFORE_DEPLOY_MISCONFIGURATIONS,
    ...JOB_MISCONFIGURATIONS,
    ...NEW_TASK_MISCONFIGURATIONS,
    ...TASK_SECRET_MISCONFIGURATIONS,
  ])
    it(`finds ${misconfiguration.what}, and says what mends it`, async () => {
      const { spoil, check, status, saw, mend, readsSecrets } = misconfiguration;
      const back = await spoil(world);
      try {
        const found = await examined(
          misconfiguration,
          (readsSecrets ? CHECKS_WITH_SECRETS : CHECKS).filter(({ name }) => name === check),
        );
        const wrong = found.filter((each) => each.status !== 'ok');
        assert.ok(wrong.length > 0, JSON.stringify(found));
        for (const each of wrong) {
          assert.equal(each.status, status, each.saw);
          assert.match(each.saw, saw);
          assert.match('mend' in each ? each.mend : '', mend);
        }
        for (const secret of [...world.secrets, 'hunter2', 'AKIA'])
          assert.ok(!JSON.stringify(found).includes(secret));
      } finally {
        await back();
      }
    });

  it('finds what was deployed wrong', async () => {
    const { status, out } = await cli(['latam', '--json'], environmentFor(ACTIONS, 'latam'));
    assert.equal(status, 1);
    const wrong = (JSON.parse(out) as (Diagnosis & { mend: string })[])
      .filter((each) => each.status !== 'ok')
      .map(({ check, of, saw, mend }) => `${check}, ${of}: ${saw} | ${mend}`);
    assert.equal(wrong.length, SEEN_OF_LATAM.length, wrong.join('\n'));
    for (const [index, pattern] of SEEN_OF_LATAM.entries()) assert.match(wrong[index] ?? '', pattern);
  });

  it('does what is safe, if told to, and nothing without a terminal to ask on', async () => {
    const refused = await cli(['latam', '--fix'], environmentFor(ACTIONS, 'latam'));
    assert.deepEqual([refused.status, refused.out], [1, '']);
    assert.match(refused.err, /--fix needs one, or --yes/);
    const { status, err } = await piped(
      ['latam', '--fix', '--yes', '--quiet'],
      environmentFor([...ACTIONS, ...FIXES], 'latam'),
    );
    assert.equal(status, 1);
    assert.equal(err, 'Done: schedules, latam-log-cleanup.\nDone: alarms, latam-message-gc-missed.\n');
    const after = await cli(['latam', '--json'], environmentFor(ACTIONS, 'latam'));
    const found: Diagnosis[] = JSON.parse(after.out);
    for (const check of ['schedules', 'alarms'])
      for (const each of found.filter((one) => one.check === check && one.of !== 'latam-message-gc-failed'))
        assert.equal(each.status, 'ok', each.saw);
  });

  it('asks on a terminal, and takes no for an answer', async () => {
    world.aws.sns.unconfirmed.add('whatsapp-oncall@example.com');
    const ask = 'Do this? [y/N]';
    const { status, shown } = await inTerminal(['doctor', 'emea', '--quiet', '--fix'], environment, [
      [ask, 'n\r'],
    ]);
    world.aws.sns.unconfirmed.clear();
    assert.equal(status, 1);
    assert.ok(shown.includes(ask) && !/Done|Not done/.test(shown), shown);
  });

  it('leaves no run and no report behind', async () => {
    const names = world.aws.lambda.durable.list().map(({ name }) => name);
    assert.ok(names.length > 0 && names.every((name) => name.startsWith('doctor-')));
    assert.deepEqual(reportsOf(world.aws), []);
    const { lambda } = clientsIn(undefined);
    const credentials = world.aws.credentialsFor({
      arn: 'arn:aws:sts::222222222222:assumed-role/operator/somebody',
      policy: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'lambda:List*', Resource: '*' }],
      },
    });
    const region = await lambda.config.region();
    assert.deepEqual(await executionsOf(new LambdaClient({ region, credentials }), 'emea-media-gc'), []);
    assert.match(
      JSON.stringify(
        await callStartRun(world.aws, 'emea', { examine: true, job: 'constructor', deployment: 'emea' }),
      ),
      /emea has no job constructor of emea\. It has .*media-gc/,
    );
  });
});
