import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { startMariadb } from '../../../rehearsal/databases/mariadb.ts';
import { startMysql } from '../../../rehearsal/databases/mysql.ts';
import type { DatabaseServer } from '../../../rehearsal/databases/mysql-family.ts';
import { ServerUnavailable } from '../../../rehearsal/databases/server-program.ts';

const SERVERS = [
  { label: 'MySQL', start: startMysql, version: /^\d+\.\d+\.\d+/, variable: 'MYSQLD' },
  { label: 'MariaDB', start: startMariadb, version: /MariaDB/, variable: 'MARIADBD' },
];

for (const { label, start, version, variable } of SERVERS) {
  test(`a real ${label} serves over TLS with a certificate for its name, logs statements, and ends`, async (t) => {
    let server: DatabaseServer;
    try {
      server = await start({ generalLog: true });
    } catch (error) {
      if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
      return t.skip(error.message);
    }
    const address = {
      host: server.host,
      port: server.port,
      user: server.user,
      password: server.password,
      ssl: { ca: server.certificateAuthority, verifyIdentity: true },
    };
    try {
      const connection = await createConnection(address);
      const [rows] = await connection.query('SELECT VERSION() AS version, 4711 AS marked');
      await connection.end();
      assert.match((rows as { version: string }[])[0]?.version ?? '', version);
      assert.match(await server.logs(), /4711/);
    } finally {
      await server.stop();
    }
    await assert.rejects(createConnection(address), { code: 'ECONNREFUSED' });
  });

  test(`a program that is no ${label} is not taken for one`, async () => {
    const before = process.env[variable];
    process.env[variable] = '/bin/sh';
    try {
      await assert.rejects(start(), ServerUnavailable);
    } finally {
      if (before === undefined) delete process.env[variable];
      else process.env[variable] = before;
    }
  });
}
