import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { CredentialRotationSettings } from '../../../functions/credential-rotation/contract.ts';
import {
  explainRotation,
  inspectDatabase,
  retireOldCredential,
} from '../../../functions/credential-rotation/database.ts';
import { rotateSecret } from '../../../functions/rotate-secret/rotate-secret.ts';
import { nativePasswordHash } from '../../../functions/shared/database/mysql-and-mariadb/password-hash.ts';
import { credentialRotation } from '../../../functions/shared/database/registry.ts';
import {
  anyPassword,
  databaseFor,
  mariadbDatabase,
  mysqlDatabase,
  postgresDatabase,
} from '../rotate-secret/databases.ts';
import { rotationBench, SECRET_ARN } from '../rotate-secret/rotation-tests.ts';
import { stepEvents } from '../rotate-secret/steps.ts';

/** Steps are done at once, and nothing is waited for. */
const context = {
  step: (_: string, work: () => Promise<unknown>) => work(),
  wait: async () => {},
} as unknown as DurableContext;

test('a second password that a person has given is discarded without noting that a rotation has ended', async (t) => {
  const database = await databaseFor(t, mariadbDatabase, { kind: 'dual-password' });
  if (database === undefined) return;
  const { settings, secretsManager, versions } = await rotationBench(t, database);
  const { username, password } = versions.read('AWSCURRENT');
  for (const { host } of await database.query('SELECT Host AS host FROM mysql.user WHERE User = ?', [
    username,
  ]))
    await database.query(
      'ALTER USER ?@? IDENTIFIED VIA mysql_native_password USING ? OR mysql_native_password USING ?',
      [username, host, nativePasswordHash(password), nativePasswordHash(anyPassword())],
    );
  const finished = () => versions.labels.get('UPKEEPFINISHED');
  const retire = (options?: { endsRotation: boolean }) =>
    retireOldCredential(
      context,
      { ...settings, retirementPatienceSeconds: 0 } as unknown as CredentialRotationSettings,
      secretsManager.client,
      Number.POSITIVE_INFINITY,
      options,
    );
  assert.deepEqual(await retire({ endsRotation: false }), { kind: 'done', value: 'retired' });
  assert.equal(finished(), undefined, 'the next rotation is as careful as the first');
  assert.deepEqual(await retire(), { kind: 'done', value: 'nothing-to-retire' });
  assert.equal(finished(), versions.labels.get('AWSCURRENT'));
});

for (const [name, start] of [
  ['MySQL', mysqlDatabase],
  ['MariaDB', mariadbDatabase],
] as const)
  test(`${name}: where another function has left the pending password as the only valid one, the current one is made valid again`, async (t) => {
    const database = await databaseFor(t, start, { kind: 'dual-password' });
    if (database === undefined) return;
    const { settings, secretsManager, parts, versions } = await rotationBench(t, database);
    const token = versions.beginRotation();
    const [create] = stepEvents(SECRET_ARN, token);
    assert.ok(create);
    await rotateSecret(parts, create);
    const current = versions.read('AWSCURRENT');
    const pending = versions.read('AWSPENDING');
    // What AWS's SingleUser function does in its second step, before it is given up.
    const hosts = await database.query('SELECT Host AS host FROM mysql.user WHERE User = ?', [
      current.username,
    ]);
    for (const { host } of hosts)
      await database.query(
        name === 'MySQL'
          ? 'ALTER USER ?@? IDENTIFIED BY ?'
          : 'ALTER USER ?@? IDENTIFIED VIA mysql_native_password USING ?',
        [current.username, host, name === 'MySQL' ? pending.password : nativePasswordHash(pending.password)],
      );
    await assert.rejects(database.logIn(current));
    const found = await inspectDatabase(context, settings, secretsManager.client);
    assert.equal(found.kind, 'done', JSON.stringify(found));
    await database.logIn(current);
    await database.logIn(pending);
    // With a password that nobody knows it is said.
    for (const { host } of hosts)
      await database.query('ALTER USER ?@? IDENTIFIED BY ?', [current.username, host, anyPassword()]);
    if (name === 'MySQL')
      for (const { host } of hosts)
        await database.query('ALTER USER ?@? DISCARD OLD PASSWORD', [current.username, host]);
    const lost = await inspectDatabase(context, settings, secretsManager.client);
    assert.ok(lost.kind === 'failed' && lost.error === 'LoginRefused', JSON.stringify(lost));
  });

test('the report says what the server said to a step of the rotation, and how to mend it', async (t) => {
  const database = await postgresDatabase({ kind: 'single-password', user: 'wa' });
  t.after(() => database.stop());
  const { settings, secretsManager, parts, versions } = await rotationBench(t, database);
  const explain = (token: string) => explainRotation(context, settings, secretsManager.client, token);
  const token = versions.beginRotation();
  const empty = await explain(token);
  assert.match(empty.kind === 'done' ? empty.value : empty.message, /createSecret, the first step, fails/);
  const [create] = stepEvents(SECRET_ARN, token);
  assert.ok(create);
  await rotateSecret(parts, create);
  await database.query('REVOKE wa FROM rotator');
  const refused = await explain(token);
  assert.ok(refused.kind === 'failed');
  assert.match(
    refused.message,
    /rotator may not change wa\. An administrator grants it: .*GRANT "wa" TO "rotator"/,
  );
  await database.query('GRANT wa TO rotator WITH ADMIN TRUE, INHERIT FALSE, SET FALSE');
  const passed = await explain(token);
  assert.match(passed.kind === 'done' ? passed.value : passed.message, /takes the new credential by now/);
  const rotation = await credentialRotation(settings.database, settings.strategy);
  await rotation.test(versions.read('AWSPENDING'));
});
