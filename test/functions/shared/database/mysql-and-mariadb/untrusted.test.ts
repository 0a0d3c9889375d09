import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatabaseUnreachable } from '../../../../../functions/shared/database/contract/errors.ts';
import { credentialRotation } from '../../../../../functions/shared/database/registry.ts';
import { startMariadb } from '../../../../../rehearsal/databases/mariadb.ts';
import { startMysql } from '../../../../../rehearsal/databases/mysql.ts';
import type { DatabaseServer, StartOptions } from '../../../../../rehearsal/databases/mysql-family.ts';
import { ServerUnavailable } from '../../../../../rehearsal/databases/server-program.ts';
import { rejected } from '../helpers.ts';

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
    let server: DatabaseServer;
    try {
      server = await start({ ...options, generalLog: true });
    } catch (error) {
      if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
      t.skip(error.message);
      return;
    }
    t.after(() => server.stop());
    const { host, port, certificateAuthority, user: username, password } = server;
    const address = { engine, host, port, certificateAuthority };
    const { test: logIn } = await credentialRotation(address, { kind: 'dual-password' });
    const error = await rejected(logIn({ username, password }), DatabaseUnreachable);
    assert.match(error.message, message);
    assert.doesNotMatch(await server.logs(), /\tConnect\t/);
  });
