import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { DatabaseAddress, Login } from '../../functions/shared/database/contract/engine.ts';
import { startMariadb } from '../../rehearsal/databases/mariadb.ts';
import { startMysql } from '../../rehearsal/databases/mysql.ts';
import { startPostgres } from '../../rehearsal/databases/postgres.ts';
import { ServerUnavailable } from '../../rehearsal/databases/server-program.ts';
import { serverCertificate } from '../../rehearsal/databases/tls-certificate.ts';

/** The SQL blocks of a document, by the name after `sql`: what operators are told to type. */
export function documentedSql(document: string): (name: string) => string {
  const text = readFileSync(new URL(`../../docs/${document}`, import.meta.url), 'utf8');
  const blocks = new Map(
    [...text.matchAll(/^```sql ?(\S*)\n([\s\S]*?)^```$/gm)].map(([, name = '', sql = '']) => [name, sql]),
  );
  return (name) => {
    const sql = blocks.get(name);
    assert.ok(sql, `docs/${document} has no block "sql ${name}"`);
    return sql;
  };
}

/** As the documents' statements have it. */
export const DOCUMENTED_PASSWORD = 'the password of its secret';

/** A real server, and somebody who may do everything on it. */
export interface AdministeredServer {
  address: DatabaseAddress;
  administrator: Login;
  /** Runs statements at once, with their comments, as a client that is given a file of them does. */
  run(statements: string, login?: Login, database?: string): Promise<void>;
  /** Keeps a connection of the administrator that does nothing. Returns its end. */
  connected(database: string): Promise<() => Promise<void>>;
}

/** `undefined` after skipping the test if there is no server and it is not CI. */
export async function mysqlFamilyServer(
  t: TestContext,
  engine: 'mysql' | 'mariadb',
): Promise<AdministeredServer | undefined> {
  try {
    const server = await { mysql: startMysql, mariadb: startMariadb }[engine]();
    t.after(() => server.stop());
    const { host, port, certificateAuthority } = server;
    const administrator = { username: server.user, password: server.password };
    const connect = ({ username, password }: Login, database?: string) =>
      createConnection({
        ...{ host, port, user: username, password, multipleStatements: true },
        ...(database !== undefined && { database }),
        ssl: { ca: certificateAuthority, verifyIdentity: true },
      });
    return {
      address: { engine, host, port, certificateAuthority },
      administrator,
      run: async (statements, login = administrator, database) => {
        const connection = await connect(login, database);
        await connection.query(statements).finally(() => connection.end());
      },
      connected: async (database) => {
        const connection = await connect(administrator, database);
        return () => connection.end();
      },
    };
  } catch (error) {
    if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
    t.skip(error.message);
    return undefined;
  }
}

/** @param binaries as of `startPostgres`. */
export async function postgresServer(t: TestContext, binaries?: string): Promise<AdministeredServer> {
  const tls = await serverCertificate();
  const server = await startPostgres({ tls, ...(binaries !== undefined && { binaries }) });
  t.after(() => server.stop());
  const { port } = server;
  const host = 'localhost';
  const administrator = { username: server.user, password: server.password };
  const connect = async ({ username: user, password }: Login, database: string) => {
    const client = new pg.Client({ host, port, user, password, database, ssl: { ca: tls.authority } });
    await client.connect();
    return client;
  };
  return {
    address: { engine: 'postgres', host, port, certificateAuthority: tls.authority },
    administrator,
    run: async (statements, login = administrator, database = server.database) => {
      const client = await connect(login, database);
      await client.query(statements).finally(() => client.end());
    },
    connected: async (database) => {
      const client = await connect(administrator, database);
      return () => client.end();
    },
  };
}
