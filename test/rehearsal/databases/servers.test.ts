import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
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

test('a server ends, and its data go, with the process that started it, however that ends', async (t) => {
  const script = `
    const { startMariadb } = await import(${JSON.stringify(import.meta.resolve('../../../rehearsal/databases/mariadb.ts'))});
    const { ServerUnavailable } = await import(${JSON.stringify(import.meta.resolve('../../../rehearsal/databases/server-program.ts'))});
    try {
      process.send({ port: (await startMariadb()).port });
      setInterval(() => {}, 1000);
    } catch (error) {
      if (!(error instanceof ServerUnavailable)) throw error;
      process.send({ reason: error.message });
    }
  `;
  const folder = await mkdtemp(join(tmpdir(), 'servers-'));
  t.after(() => rm(folder, { recursive: true }));
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [started] = (await once(child, 'message')) as [{ port?: number; reason?: string }];
  child.kill('SIGKILL');
  await once(child, 'exit');
  if (started.port === undefined) {
    if (process.env.CI) throw new Error(started.reason);
    return t.skip(started.reason);
  }
  for (let n = 0; n < 400 && (await readdir(folder)).length > 0; n += 1) await delay(25);
  assert.deepEqual(await readdir(folder), []);
  assert.equal(await listens(started.port), false);
});

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
