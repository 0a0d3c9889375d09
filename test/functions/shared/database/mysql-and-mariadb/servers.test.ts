import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import {
  DatabaseUnreachable,
  LoginRefused,
} from '../../../../../functions/shared/database/contract/errors.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import { startMariadb } from '../../../../../rehearsal/databases/mariadb.ts';
import { startMysql } from '../../../../../rehearsal/databases/mysql.ts';
import type { DatabaseServer, StartOptions } from '../../../../../rehearsal/databases/mysql-family.ts';
import { ServerUnavailable } from '../../../../../rehearsal/databases/server-program.ts';
import { anyPassword } from '../../../rotate-secret/databases.ts';
import { knowingCurrent, rejected, secretOf } from '../helpers.ts';

const UNTRUSTED: [string, 'mysql' | 'mariadb', StartOptions, RegExp][] = [
  [
    'a certificate for another host name',
    'mysql',
    { certificateName: 'elsewhere.example.com' },
    /elsewhere\.example\.com/,
  ],
  ['MySQL without TLS', 'mysql', { options: ['--tls-version='] }, /does not support secure connection/],
  ['MariaDB without TLS', 'mariadb', { options: ['--skip-ssl'] }, /does not support secure connection/],
];

for (const [what, engine, options, message] of UNTRUSTED)
  test(`${what} is not connected to, and is sent no login`, async (t) => {
    const start = engine === 'mysql' ? startMysql : startMariadb;
    const server = await startedFor(t, start, { ...options, generalLog: true });
    if (server === undefined) return;
    const { host, port, certificateAuthority, user: username, password } = server;
    const address = { engine, host, port, certificateAuthority };
    const { test: logIn } = await credentialRotation(address, { kind: 'dual-password' });
    const error = await rejected(logIn({ username, password }), DatabaseUnreachable);
    assert.match(error.message, message);
    assert.doesNotMatch(await server.logs(), /\tConnect\t/);
  });

for (const [name, start, modes] of [
  ['MySQL', startMysql, 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,IGNORE_SPACE'],
  ['MariaDB', startMariadb, 'ORACLE,NO_BACKSLASH_ESCAPES,IGNORE_SPACE'],
] as const)
  test(`${name} rotates a user of any name under the SQL modes that read quotes otherwise`, async (t) => {
    const server = await startedFor(t, start, { options: [`--sql-mode=${modes}`] });
    if (server === undefined) return;
    const { host, port, certificateAuthority } = server;
    const administrator = { username: server.user, password: server.password };
    const connection = await createConnection({
      ...{ host, port, user: server.user, password: server.password },
      ssl: { ca: certificateAuthority },
    });
    t.after(() => connection.destroy());
    const engine = name === 'MySQL' ? 'mysql' : 'mariadb';
    const rotation = knowingCurrent(
      await credentialRotation({ engine, host, port, certificateAuthority }, { kind: 'dual-password' }),
    );
    const current = secretOf({ username: `o'd"d\\ \`x`, password: anyPassword() });
    const pending = secretOf({ ...current, password: randomPassword() });
    await connection.query("SET SESSION sql_mode = ''");
    await connection.query('CREATE USER ? IDENTIFIED BY ?', [current.username, current.password]);
    const previous = async () => undefined;
    assert.equal(await rotation.set({ admin: administrator, current, pending, previous }), 'set');
    for (const login of [current, pending]) await rotation.test(login);
    assert.equal(await rotation.retained(administrator, pending), true);
    const read = async () => ({ current: pending, pending: undefined });
    assert.equal(
      await rotation.retire({ admin: administrator, username: current.username, read }),
      'retired',
    );
    await rejected(rotation.test(current), LoginRefused);
  });

/** `undefined` after skipping the test if there is no server and it is not CI. */
async function startedFor(
  t: TestContext,
  start: typeof startMysql,
  options: StartOptions,
): Promise<DatabaseServer | undefined> {
  try {
    const server = await start(options);
    t.after(() => server.stop());
    return server;
  } catch (error) {
    if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
    t.skip(error.message);
    return undefined;
  }
}
