import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RotateSecretSettings, RotationEvent } from '../../../functions/rotate-secret/contract.ts';
import { rotateSecret } from '../../../functions/rotate-secret/rotate-secret.ts';
import { DatabaseUnreachable, RotationRefused } from '../../../functions/shared/database/contract/errors.ts';
import { rejected } from '../shared/database/helpers.ts';
import { ROTATION_TOKEN, type SecretsManagerStandIn, startSecretsManager } from './secrets-manager.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:wa-db-AbCdEf';
const MANAGED = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!db-1234-AbCdEf';
const ADMIN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:admin-AbCdEf';

let secretsManager: SecretsManagerStandIn;
before(async () => {
  secretsManager = await startSecretsManager();
});
after(() => secretsManager.close());

interface Situation {
  settings?: Partial<RotateSecretSettings>;
  /** Fields of the rotated secret, besides those of a MySQL database that does not answer. */
  secret?: object;
  admin?: object;
  /** The secret's ARN, if it is not the one in the settings. */
  arn?: string;
  /** Whether the version is the one of a rotation. @default true */
  pending?: boolean;
}

function situation({ settings = {}, secret = {}, admin, arn, pending = true }: Situation) {
  const database = { engine: 'mysql', host: 'localhost', port: 9, certificateAuthority: 'rds' } as const;
  const secretArn = settings.secretArn ?? ARN;
  const login = { username: 'wa', password: 'Current-1' };
  const versions = secretsManager.add(arn ?? secretArn, {
    ...login,
    engine: 'mysql',
    host: 'localhost',
    ...secret,
  });
  if (admin !== undefined) secretsManager.add(ADMIN, admin);
  const token = versions.beginRotation();
  if (!pending) versions.abandonRotation();
  const parts = {
    settings: { deployment: 'berlin', secretArn, database, strategy: { kind: 'dual-password' }, ...settings },
    secretsManager: secretsManager.client,
    lambda: secretsManager.lambda,
  } satisfies Parameters<typeof rotateSecret>[0];
  const step = (Step: RotationEvent['Step'], SecretId = arn ?? secretArn) =>
    rotateSecret(parts, { Step, SecretId, ClientRequestToken: token, RotationToken: ROTATION_TOKEN });
  secretsManager.calls.length = 0;
  return { versions, token, step };
}

const mariadb = {
  database: { engine: 'mariadb', host: 'localhost', port: 9, certificateAuthority: 'rds' },
} as const;
const postgres = {
  database: { engine: 'postgres', host: 'localhost', port: 9, certificateAuthority: 'rds' },
} as const;
const alternating = { kind: 'alternating-users' } as const;

const REFUSED: (Situation & { what: string; step: RotationEvent['Step']; message: RegExp })[] = [
  {
    what: 'a secret that RDS manages',
    settings: { secretArn: MANAGED },
    step: 'createSecret',
    message: /RDS itself manages/,
  },
  {
    what: 'a secret of another host',
    secret: { host: 'elsewhere.example.com' },
    step: 'createSecret',
    message: /elsewhere\.example\.com; configured is localhost/,
  },
  {
    what: 'dual-password on PostgreSQL',
    settings: postgres,
    secret: { engine: 'postgres' },
    step: 'createSecret',
    message: /one password for a user/,
  },
  {
    what: 'alternating-users on PostgreSQL without the names of users',
    settings: { ...postgres, strategy: alternating },
    step: 'createSecret',
    message: /needs `users`/,
  },
  {
    what: 'a secret of another user than the two that alternate',
    settings: { ...postgres, strategy: { ...alternating, users: ['a', 'b'], owner: 'owner' } },
    secret: { engine: 'postgres', username: 'postgres' },
    step: 'createSecret',
    message: /user is postgres, but a and b/,
  },
  {
    what: 'a secret of another user than the one configured',
    settings: { ...postgres, strategy: { kind: 'single-password', user: 'wa' } },
    secret: { engine: 'postgres', username: 'postgres' },
    step: 'createSecret',
    message: /user is postgres; configured is wa/,
  },
  {
    what: 'single-password where two passwords can be had',
    settings: { strategy: { kind: 'single-password', user: 'wa' } },
    step: 'createSecret',
    message: /dual-password/,
  },
  {
    what: 'to write a version of no rotation',
    pending: false,
    step: 'createSecret',
    message: /AWSPENDING/,
  },
  { what: 'to set a version of no rotation', pending: false, step: 'setSecret', message: /AWSPENDING/ },
  { what: 'to finish a version of no rotation', pending: false, step: 'finishSecret', message: /AWSPENDING/ },
];

for (const { what, step, message, ...rest } of REFUSED) {
  test(`refuses ${what}, and changes nothing`, async () => {
    const { versions, step: run } = situation(rest);
    const before = JSON.stringify([[...versions.values], [...versions.labels]]);
    assert.match((await rejected(run(step), RotationRefused)).message, message);
    assert.equal(JSON.stringify([[...versions.values], [...versions.labels]]), before);
  });
}

const WITHOUT_ADMINISTRATOR: (Situation & { what: string })[] = [
  { what: 'MariaDB', settings: mariadb, secret: { engine: 'mariadb' } },
  { what: 'alternating-users on MySQL', settings: { strategy: alternating } },
  {
    what: 'PostgreSQL',
    settings: { ...postgres, strategy: { ...alternating, users: ['wa', 'wa_clone'], owner: 'owner' } },
    secret: { engine: 'postgres' },
  },
];

for (const { what, ...rest } of WITHOUT_ADMINISTRATOR) {
  test(`refuses ${what} without an administrator`, async () => {
    const { step } = situation(rest);
    await step('createSecret');
    assert.match((await rejected(step('setSecret'), RotationRefused)).message, /administrator/);
  });
}

test("refuses an administrator's secret of another host", async () => {
  const admin = { username: 'admin', password: 'Admin-1', host: 'elsewhere.example.com' };
  const { step } = situation({ admin, settings: { adminSecretArn: ADMIN } });
  await step('createSecret');
  assert.match((await rejected(step('setSecret'), RotationRefused)).message, /elsewhere/);
});

test('refuses to rotate a secret that it was not made for', async () => {
  const { step } = situation({});
  assert.match((await rejected(step('createSecret', ADMIN), RotationRefused)).message, /not .*admin/);
});

test('a secret may be configured by its ARN without the random suffix', async () => {
  const { step } = situation({ settings: { secretArn: ARN.slice(0, -7) }, arn: ARN });
  assert.equal(await step('createSecret'), 'created');
  await rejected(step('createSecret', `${ARN.slice(0, -7)}x-AbCdEf`), RotationRefused);
});

test('goes by what is there, not by how a Secrets Manager refuses: the first value counts, a late step finds all done', async () => {
  const { versions, token, step } = situation({});
  versions.isOthers = true;
  assert.equal(await step('createSecret'), 'created');
  const value = versions.values.get(token);
  assert.equal(await step('createSecret'), 'was-created');
  assert.equal(versions.values.get(token), value);
  versions.updateStage({
    VersionStage: 'AWSCURRENT',
    MoveToVersionId: token,
    RemoveFromVersionId: versions.labels.get('AWSCURRENT') ?? '',
  });
  versions.abandonRotation();
  assert.equal(await step('setSecret'), 'was-finished');
});

test('takes the administrator from the field masterarn', async () => {
  const { step } = situation({
    admin: { username: 'admin', password: 'Admin-1' },
    secret: { masterarn: ADMIN },
  });
  await step('createSecret');
  secretsManager.calls.length = 0;
  await rejected(step('setSecret'), DatabaseUnreachable);
  assert.deepEqual(secretsManager.calls, ['GetSecretValue', 'GetSecretValue']);
});

test('a database that cannot be reached is said so, with its address, already at the deployment', async () => {
  const { step } = situation({});
  const { message } = await rejected(step('testSecret'), DatabaseUnreachable);
  assert.match(message, /localhost:9 .*ECONNREFUSED.*security groups/s);
});

test('the first value of a version counts, however often it is created', async () => {
  const { step, versions, token } = situation({});
  assert.equal(await step('createSecret'), 'created');
  const value = versions.values.get(token);
  assert.equal(await step('createSecret'), 'was-created');
  assert.equal(versions.values.get(token), value);
});

test("the new password follows the configuration's rules, and everything else is kept", async () => {
  const { step, versions, token } = situation({
    settings: { password: { length: 20, alphabet: 'ABCdef123' } },
    secret: { dbname: 'waweb', own: ['field'] },
  });
  await step('createSecret');
  const { password, ...rest } = JSON.parse(versions.values.get(token) ?? '');
  assert.match(password, /^[A-Za-z][ABCdef123]{19}$/);
  assert.deepEqual(rest, {
    ...{ username: 'wa', engine: 'mysql', host: 'localhost' },
    ...{ dbname: 'waweb', own: ['field'] },
  });
});

test('a late setSecret of a version that has lost its label is told so, and changes nothing', async () => {
  const { versions, step } = situation({});
  await step('createSecret');
  versions.abandonRotation();
  secretsManager.calls.length = 0;
  assert.match((await rejected(step('setSecret'), RotationRefused)).message, /no longer.*AWSPENDING/);
  assert.deepEqual(secretsManager.calls, ['GetSecretValue', 'GetSecretValue']);
});

test('of several finishSecret at once, each finds the version to be the current one', async () => {
  for (let round = 0; round < 10; round += 1) {
    const { versions, token, step } = situation({ settings: {} });
    await step('createSecret');
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => step('finishSecret')));
    assert.ok(outcomes.every((outcome) => /finished/.test(outcome)));
    assert.equal(versions.labels.get('AWSCURRENT'), token);
  }
});

test('a secret that holds its password in another field is not rotated, and nothing is written', async () => {
  const { versions, token, step } = situation({ secret: { url: 'mysql://wa:Current-1@localhost' } });
  const error = await rejected(step('createSecret'), RotationRefused);
  assert.match(error.message, /holds its password in "url" too/);
  assert.ok(!error.message.includes('Current-1'));
  assert.equal(versions.values.has(token), false);
});

test('a field that is configured is written with the new login', async () => {
  const { versions, step } = situation({
    settings: {
      fields: [{ key: 'url', template: 'mysql://{username}:{password}@localhost', encoding: 'url' }],
    },
    secret: { url: 'mysql://wa:Current-1@localhost', port: '9' },
  });
  await step('createSecret');
  const text = versions.values.get(versions.labels.get('AWSPENDING') ?? '') ?? '';
  const { password, url, port } = JSON.parse(text);
  assert.equal(url, `mysql://wa:${encodeURIComponent(password)}@localhost`);
  assert.equal(port, '9');
});
