import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import type { DatabaseAddress, Login } from '../../../../../functions/shared/database/contract/engine.ts';
import {
  DatabaseUnreachable,
  TableNotFound,
} from '../../../../../functions/shared/database/contract/errors.ts';
import { sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { startMariadb } from '../../../../../rehearsal/databases/mariadb.ts';
import { startMysql } from '../../../../../rehearsal/databases/mysql.ts';
import { startPostgres } from '../../../../../rehearsal/databases/postgres.ts';
import { ServerUnavailable } from '../../../../../rehearsal/databases/server-program.ts';
import { serverCertificate } from '../../../../../rehearsal/databases/tls-certificate.ts';

/** Short, for a server that is silent is silent for ever; and long enough for all to log in at once on a busy machine. */
const LIMITS = { connectMs: 2000, answerMs: 2000 };
const SEARCH = { table: 'nowhere', databases: ['nowhere'] };

interface Proxy {
  port: number;
  /** How much the server had said whenever it said something. */
  said: number[];
  close(): void;
}

/** Passes everything on, and from so many bytes of the server on nothing any more, with the connections open. */
async function proxyTo(port: number, silentAfter = Number.POSITIVE_INFINITY): Promise<Proxy> {
  const sockets: Socket[] = [];
  const said: number[] = [];
  let total = 0;
  const server = createServer((client) => {
    const upstream = connect({ port, host: '127.0.0.1' });
    sockets.push(client, upstream);
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.on('data', (bytes) => upstream.write(bytes));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => total < silentAfter && client.destroy());
    upstream.on('data', (bytes) => {
      const room = silentAfter - total;
      total += bytes.length;
      said.push(total);
      if (room > 0) client.write(bytes.subarray(0, Math.min(room, bytes.length)));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    said,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Whatever the server has said when it falls silent, the question ends, with an error that says so. */
async function neverWaitsForEver(address: DatabaseAddress, login: Login): Promise<void> {
  const whole = await proxyTo(address.port);
  const reader = await sizeReader({ ...address, port: whole.port });
  // The question is answered, though its table is not there.
  await assert.rejects(reader.table(login, SEARCH), TableNotFound);
  whole.close();
  // After each of its messages but the last, and in the middle of each.
  const stops = whole.said.slice(0, -1).flatMap((bytes, index) => {
    const before = whole.said[index - 1] ?? 0;
    return [bytes, Math.floor((bytes + before) / 2)];
  });
  assert.ok(stops.length > 4, String(stops));
  const outcomes = await Promise.all(
    [0, ...stops].map(async (bytes) => {
      const proxy = await proxyTo(address.port, bytes);
      const silent = await sizeReader({ ...address, port: proxy.port }, LIMITS);
      const outcome = await silent.table(login, SEARCH).then(
        () => 'was answered',
        (error: unknown) => error,
      );
      proxy.close();
      return { bytes, outcome };
    }),
  );
  for (const { bytes, outcome } of outcomes) {
    // Sizes of messages differ a little: with the last stops all may have been said.
    if (outcome instanceof TableNotFound) continue;
    assert.ok(outcome instanceof DatabaseUnreachable, `after ${bytes} bytes: ${outcome}`);
  }
  const messages = outcomes.map(({ outcome }) => String(outcome));
  assert.ok(
    messages.some((message) => /No trusted connection to|did not answer the login within/.test(message)),
    messages.join('\n'),
  );
  assert.ok(
    messages.some((message) => /did not answer S\w+.* within 2 seconds/.test(message)),
    messages.join('\n'),
  );
}

test('a PostgreSQL that falls silent is not waited for', async (t) => {
  const tls = await serverCertificate('localhost');
  const server = await startPostgres({ tls });
  t.after(() => server.stop());
  await neverWaitsForEver(
    { engine: 'postgres', host: 'localhost', port: server.port, certificateAuthority: tls.authority },
    { username: server.user, password: server.password },
  );
});

for (const [engine, start] of [
  ['mysql', startMysql],
  ['mariadb', startMariadb],
] as const)
  test(`a ${engine} that falls silent is not waited for`, async (t) => {
    let server: Awaited<ReturnType<typeof start>>;
    try {
      server = await start({});
    } catch (error) {
      if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
      return t.skip(error.message);
    }
    t.after(() => server.stop());
    const { host, port, certificateAuthority } = server;
    await neverWaitsForEver(
      { engine, host, port, certificateAuthority },
      { username: server.user, password: server.password },
    );
  });
