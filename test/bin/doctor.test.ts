import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { CHECKS } from '../../bin/doctor/checks.ts';
import type { Diagnosis } from '../../bin/doctor/examine.ts';
import { clientsOf } from '../../rehearsal/clients.ts';
import { createWorld, type World } from '../../rehearsal/world.ts';
import { buildStage, type Stage } from '../rehearsal/stage.ts';

/** What doctor may do here: what its checks say that they call, and what finding the deployments needs. */
const ACTIONS = [
  ...new Set([
    'lambda:ListFunctions',
    'lambda:GetFunctionConfiguration',
    ...CHECKS.flatMap(({ actions }) => actions),
  ]),
].sort();

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
    world = await createWorld({ ...stage, clients: emea ? { emea } : {}, jobs: [], start: undefined });
    environment = environmentFor(ACTIONS);
  });
  after(async () => {
    await world?.close();
    await stage.close();
  });

  /** Of somebody who may do so much, to whatever there is. */
  function environmentFor(actions: string[]): Record<string, string> {
    const [startRun] = world.aws.deployed
      .ofType('AWS::Lambda::Function')
      .filter(({ name }) => name === 'emea-start-run');
    assert.ok(startRun);
    const { accessKeyId, secretAccessKey, sessionToken } = world.aws.credentialsFor({
      arn: `arn:aws:sts::${startRun.account}:assumed-role/operator/somebody`,
      policy: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] },
    });
    return {
      PATH: process.env.PATH ?? '',
      AWS_ENDPOINT_URL: world.aws.endpoint,
      AWS_REGION: startRun.region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken,
    };
  }

  function cli(
    words: string[],
    env = environment,
  ): Promise<{ status: number | null; out: string; err: string }> {
    const child = spawn(process.execPath, ['bin/wa-upkeep.ts', 'doctor', ...words], { env });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      err += text;
    });
    return new Promise((resolve) => child.on('close', (status) => resolve({ status, out, err })));
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
    // None of the checks has nothing to look at here.
    assert.deepEqual(
      [...new Set(found.map(({ check }) => check))].sort(),
      CHECKS.map(({ name }) => name).sort(),
    );
  });

  it('shows only what is wrong if asked to, with what mends it, and exits with 1', async () => {
    world.aws.sns.unconfirmed.add('whatsapp-oncall@example.com');
    const { status, out } = await cli(['emea', '--quiet']);
    world.aws.sns.unconfirmed.clear();
    assert.equal(status, 1);
    assert.match(
      out,
      /^emea: \d+ ok, 1 failed\n {2}failed {10}addressees of alarms, \S+: whatsapp-oncall@example\.com has not confirmed [^\n]+\n {20}aws sns subscribe --topic-arn \S+ --protocol email --notification-endpoint whatsapp-oncall@example\.com[^\n]+\n$/,
    );
  });

  it('says where it could not look, and which right is missing', async () => {
    const { status, out } = await cli(
      ['emea', '--quiet'],
      environmentFor(ACTIONS.filter((action) => action !== 'scheduler:ListSchedules')),
    );
    assert.equal(status, 1);
    assert.match(out, /\n {2}could not look {2}schedules: [^\n]+\n {20}You need scheduler:ListSchedules: /);
  });

  it('takes no word that it does not know', async () => {
    assert.equal((await cli(['--fast'])).status, 2);
    assert.match((await cli(['atlantis'])).err, /There is no deployment atlantis in \S+\. There: .*emea/);
  });

  it('asks AWS for no more than docs/command-line.md lists', () => {
    const [, row = ''] = /^\| `doctor` \| (.*) \|$/m.exec(readFileSync('docs/command-line.md', 'utf8')) ?? [];
    assert.deepEqual(row.match(/[a-z-]+:\w+/g)?.sort(), ACTIONS);
  });
});
