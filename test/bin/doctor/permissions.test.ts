import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { stripVTControlCharacters, styleText } from 'node:util';
import { deploymentNamed } from '../../../bin/deployments.ts';
import type { Finding } from '../../../bin/doctor/check.ts';
import { examine } from '../../../bin/doctor/examine.ts';
import { clientsIn, ExaminedDeployment } from '../../../bin/doctor/examined-deployment.ts';
import { permissionChecks } from '../../../bin/doctor/permissions/permissions.ts';
import { realClock } from '../../../rehearsal/aws/clock.ts';
import { Container } from '../../../rehearsal/aws/containers/container.ts';
import type { ManagedService } from '../../../rehearsal/aws/ecs/service.ts';
import { type Aws, startAws } from '../../../rehearsal/aws/server.ts';
import type { Resource } from '../../../rehearsal/aws/template/resource.ts';
import { synthesize } from '../../../rehearsal/synthesize.ts';
import { commandLine, inTerminal } from '../command-line.ts';
import { COMPILE_CACHE } from '../compile-cache.ts';

const DOCTOR = [
  'lambda:GetFunctionConfiguration',
  'cloudtrail:LookupEvents',
  'ecs:ListTasks',
  'sts:AssumeRole',
];
const PROBE = ['ecs:UpdateService', 'ecs:ExecuteCommand', 'ssm:TerminateSession'];

describe('what only AWS can answer of the permissions', () => {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  const clock = realClock();
  let aws: Aws;
  let container: Container;
  let key: Resource;
  let roles = 0;
  let services: ManagedService[];
  before(async () => {
    const { SYNTHESIZED: shared } = process.env;
    const cdkOut = shared ?? (await synthesize());
    aws = await startAws({ cdkOut, clock, change: leaveSchedulesOut });
    if (shared === undefined) rmSync(cdkOut, { recursive: true });
    const [found] = aws.deployed.ofType('AWS::KMS::Key').filter(({ stack }) => stack === 'upkeep-emea');
    assert.ok(found);
    key = found;
    container = await Container.start({ name: 'wa-web', folder: join(folder, 'web') });
    const { account, region } = found;
    const where = { account, region, cluster: 'whatsapp-emea' };
    services = ['webapp', 'coreapp', 'master'].map((service) =>
      aws.ecs.manageService({
        ...where,
        service,
        desiredCount: 1,
        start: async () => [],
        ...(service === 'webapp' && { running: [[container]] }),
      }),
    );
  });
  after(async () => {
    await container.remove();
    await aws.close();
    clock.close();
    rmSync(folder, { recursive: true });
  });

  /** With a role for what is tried; without one only CloudTrail is asked. */
  async function findings({ doctor = DOCTOR, probe }: { doctor?: string[]; probe?: string[] }) {
    const operator = `arn:aws:sts::${key.account}:assumed-role/operator/somebody`;
    const role = `arn:aws:iam::${key.account}:role/doctor-${++roles}`;
    const allow = (Action: string[]) => ({
      Version: '2012-10-17',
      Statement: { Effect: 'Allow', Action, Resource: '*' },
    });
    if (probe)
      aws.access.addRole(role, {
        trust: {
          Version: '2012-10-17',
          Statement: { Effect: 'Allow', Principal: { AWS: operator }, Action: 'sts:AssumeRole' },
        },
        policy: allow(probe),
      });
    const { accessKeyId, secretAccessKey, sessionToken } = aws.credentialsFor({
      arn: operator,
      policy: allow(doctor),
    });
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: aws.endpoint,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_SESSION_TOKEN: sessionToken,
    });
    const clients = clientsIn(key.region);
    const deployment = new ExaminedDeployment(await deploymentNamed(clients.lambda, 'emea'), clients);
    return examine(deployment, permissionChecks(probe && role));
  }

  function of(found: ({ check: string } & Finding)[], check: string): Finding[] {
    return found.filter((each) => each.check === check);
  }

  /** Something that a function of the deployment asks, in a session of its role. */
  function asks(job: string, action: string, resource: string, conditions: Record<string, string> = {}) {
    const fn = aws.deployed.ofType('AWS::Lambda::Function').find(({ name }) => name === `emea-${job}`);
    assert.ok(fn);
    return aws.access.check({
      principal: aws.access.session(fn.properties.text('Role'), fn.name),
      action,
      resource,
      conditions,
      needsResourcePolicy: action.startsWith('kms:'),
    });
  }

  const rotated = () => {
    const [schedule] = aws.deployed
      .ofType('AWS::Lambda::Function')
      .filter(({ name }) => name === 'emea-credential-rotation');
    const { secretArn } = JSON.parse(
      schedule?.properties.child('Environment')?.child('Variables')?.text('UPKEEP_SETTINGS') ?? '{}',
    );
    return String(secretArn);
  };

  it('needs what docs/command-line.md lists, and is asked of a role by its ARN', () => {
    const [, row = ''] =
      /^\| `doctor --permissions` \| (.*) \|$/m.exec(readFileSync('docs/command-line.md', 'utf8')) ?? [];
    const actions = permissionChecks('arn:aws:iam::123456789012:role/probe').flatMap(
      (check) => check.actions,
    );
    assert.deepEqual(
      row.match(/[a-z-]+:\w+/g)?.sort(),
      [...new Set([...actions, 'lambda:ListFunctions'])].sort(),
    );
    assert.deepEqual([...new Set(actions)].sort(), [...DOCTOR].sort());
    const { status, stderr } = spawnSync(
      process.execPath,
      ['bin/wa-upkeep.ts', 'doctor', '--permissions', 'emea'],
      { encoding: 'utf8' },
    );
    assert.equal(status, 2);
    assert.match(stderr, /It must be the ARN of a role\. Deployments come before it\./);
  });

  it('cannot be told before anything ran, nor without the right to look', async () => {
    const found = await findings({});
    assert.deepEqual(
      found.map(({ check, status }) => [check, status]),
      [
        ['permissions, in the event history', 'could not look'],
        ["Lambda's use of the key", 'could not look'],
        ["EventBridge's use of the key", 'could not look'],
      ],
    );
    const blind = await findings({ doctor: DOCTOR.filter((action) => action !== 'cloudtrail:LookupEvents') });
    assert.ok(blind.length > 3);
    for (const finding of blind)
      assert.deepEqual(
        [finding.status, finding.status === 'could not look' && finding.missing],
        ['could not look', 'cloudtrail:LookupEvents'],
      );
  });

  it('is read in the event history: RotateSecret under its conditions, and by what Lambda decrypts', async () => {
    asks('credential-rotation', 'secretsmanager:RotateSecret', rotated(), {
      'secretsmanager:ModifyRotationRules': 'false',
    });
    asks('message-gc', 'kms:Decrypt', key.arn, {
      'kms:ViaService': 'lambda.eu-central-1.amazonaws.com',
      'kms:EncryptionContext:aws:lambda:FunctionArn':
        'arn:aws:lambda:eu-central-1:222222222222:function:emea-message-gc',
    });
    const found = await findings({});
    assert.deepEqual(of(found, 'permissions, in the event history'), [
      { ...found[0], of: 'emea-credential-rotation', status: 'ok', saw: 'AWS refused none of 1 calls.' },
      { ...found[0], of: 'emea-message-gc', status: 'ok', saw: 'AWS refused none of 1 calls.' },
    ]);
    assert.match(
      of(found, "Lambda's use of the key")[0]?.saw ?? '',
      /decrypts by aws:lambda:FunctionArn: .* could be/,
    );
    // What it does by no context can be limited by none.
    asks('media-gc', 'kms:Decrypt', key.arn, { 'kms:ViaService': 'lambda.eu-central-1.amazonaws.com' });
    const [other] = of(await findings({}), "Lambda's use of the key");
    assert.deepEqual([other?.status, other?.saw.includes('cannot be limited')], ['ok', true]);
  });

  it('is a failure where AWS refused: a condition that does not hold, a key that shuts EventBridge out', async () => {
    asks('credential-rotation', 'secretsmanager:RotateSecret', rotated(), {
      'secretsmanager:ModifyRotationRules': 'true',
    });
    const bus = aws.deployed.ofType('AWS::Events::EventBus').find(({ stack }) => stack === 'upkeep-emea');
    const use = (context: string) =>
      aws.access.check({
        principal: { kind: 'service', service: 'events.amazonaws.com' },
        action: 'kms:Decrypt',
        resource: key.arn,
        needsResourcePolicy: true,
        conditions: {
          'aws:SourceArn': context,
          'aws:SourceAccount': key.account,
          'kms:EncryptionContext:aws:events:event-bus:arn': context,
        },
      });
    assert.equal(use(bus?.arn ?? ''), undefined);
    assert.equal(of(await findings({}), "EventBridge's use of the key")[0]?.status, 'ok');
    use('arn:aws:events:eu-central-1:222222222222:event-bus/other');
    const found = await findings({});
    const refused = of(found, 'permissions, in the event history').filter(
      ({ status }) => status === 'failed',
    );
    assert.equal(refused.length, 1);
    assert.match(
      refused[0]?.saw ?? '',
      /AWS refused 1 of 2 calls, last RotateSecret .*not authorized to perform/,
    );
    assert.equal(of(found, "EventBridge's use of the key")[0]?.status, 'failed');
  });

  it('is shown on a terminal as it is through a pipe', async () => {
    // So that its credentials are these.
    await findings({ doctor: [...DOCTOR, 'lambda:ListFunctions'] });
    const { AWS_ENDPOINT_URL = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = process.env;
    const { AWS_SESSION_TOKEN = '', PATH = '' } = process.env;
    const keys = { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN };
    const env = { ...COMPILE_CACHE, PATH, AWS_ENDPOINT_URL, AWS_REGION: key.region, ...keys };
    const words = ['doctor', 'emea', '--permissions'];
    const [piped, shown] = await Promise.all([commandLine(words, env), inTerminal(words, env)]);
    assert.match(
      piped.out,
      /^ {2}ok {14}permissions, in the event history, emea-message-gc: AWS refused none /m,
    );
    assert.match(piped.out, /^ {2}failed {10}EventBridge's use of the key: /m);
    assert.equal(piped.out, stripVTControlCharacters(piped.out));
    assert.ok(
      shown.shown.includes(styleText('red', 'failed        ', { validateStream: false })),
      shown.shown,
    );
    assert.equal(stripVTControlCharacters(shown.shown), piped.err + piped.out);
    assert.deepEqual([piped.status, shown.status], [1, 1]);
  });

  it('is tried by UpdateService under limited sessions, and nothing is deployed, whatever AWS answers', async () => {
    const narrow = await findings({ probe: PROBE });
    assert.match(of(narrow, 'UpdateService')[0]?.saw ?? '', /have no value where a request names neither/);
    aws.ecs.updateServiceCarries = 'what it has';
    const wide = await findings({ probe: PROBE });
    aws.ecs.updateServiceCarries = 'what is named';
    assert.match(
      of(wide, 'UpdateService')[0]?.saw ?? '',
      /^ecs:task-definition and ecs:enable-execute-command have a value .*cannot be held/,
    );
    const unable = await findings({ probe: PROBE.filter((action) => action !== 'ecs:UpdateService') });
    const [finding] = of(unable, 'UpdateService');
    assert.equal(finding?.status, 'could not look');
    assert.match(
      finding.status === 'could not look' ? (finding.missing ?? '') : '',
      /^ecs:UpdateService of arn:/,
    );
    const updates = aws.calls.filter(({ action }) => action === 'ecs:UpdateService');
    assert.ok(updates.some(({ allowed }) => allowed));
    assert.ok(services.every(({ everyDeployment }) => everyDeployment.length === 1));
  });

  it('is tried by a session of ECS Exec that is ended by its tag, and by whatever role is left none', async () => {
    const tagged = await findings({ probe: PROBE });
    assert.deepEqual(
      of(tagged, 'tag of sessions').map(({ status, of: job }) => [job, status]),
      [['log-cleanup', 'ok']],
    );
    aws.sessions.faults.untagged = true;
    const untagged = await findings({ probe: PROBE });
    delete aws.sessions.faults.untagged;
    const [finding] = of(untagged, 'tag of sessions');
    assert.equal(finding?.status, 'failed');
    assert.match(
      finding.saw,
      /do not have the tag .* because no session policy allows the ssm:TerminateSession action/,
    );
    const allowed = (wanted: RegExp) =>
      aws.calls.filter(({ action, resource, allowed }) => allowed && wanted.test(`${action} ${resource}`))
        .length;
    assert.equal(allowed(/^ssm:TerminateSession /), allowed(/^ecs:ExecuteCommand .*:task\//));
  });
});

/** No run comes by itself. */
function leaveSchedulesOut(templates: Record<string, { Resources: Record<string, { Type: string }> }>): void {
  for (const { Resources: resources } of Object.values(templates))
    for (const [id, { Type: type }] of Object.entries(resources))
      if (type === 'AWS::Scheduler::Schedule' || type === 'AWS::SecretsManager::RotationSchedule')
        delete resources[id];
}
