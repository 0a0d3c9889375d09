import { ENGINES, type Engine } from '../functions/shared/database/contract/engine.ts';
import sample from '../upkeep.config.ts';
import { keepCertificate } from './certificates.ts';
import { startMariadb } from './databases/mariadb.ts';
import { startMysql } from './databases/mysql.ts';
import type { DatabaseServer } from './databases/mysql-family.ts';
import { type Postgres, STREAMING, startPostgres } from './databases/postgres.ts';
import { ServerUnavailable } from './databases/server-program.ts';
import type configuration from './upkeep.config.ts';
import type { ClientDatabase } from './whatsapp/client-database.ts';
import { mysqlClient } from './whatsapp/client-on-mysql.ts';
import { postgresClient } from './whatsapp/client-on-postgres.ts';
import { type MessageStore, openMessageStore } from './whatsapp/message-store.ts';

/**
 * Starts the PostgreSQL of all clients' databases, with the certificate that the sample's host name asks for.
 * @param streams whether a replica can follow it, which costs time where there are many rows
 */
export async function startClientDatabases({ streams = false } = {}): Promise<Postgres> {
  return startPostgres({
    tls: await certificateOf('postgres'),
    // Its estimates are those of its counters, so that a night can be held against what SQL counts.
    settings: { autovacuum: 'off', ...(streams && STREAMING) },
  });
}

/**
 * Likewise the MySQL of those clients that have one, or a MariaDB in its place.
 * @returns where this machine has none, why: a sentence that says how to get one.
 * @throws ServerUnavailable in CI, where there must be one.
 */
export async function startClientMysql(
  engine: DatabaseServer['engine'] = 'mysql',
): Promise<DatabaseServer | string> {
  const certificate = await certificateOf('mysql');
  const start = engine === 'mysql' ? startMysql : startMariadb;
  try {
    return await start({ certificate: { ...certificate, authority: certificate.certificate } });
  } catch (error) {
    if (!(error instanceof ServerUnavailable) || process.env.CI) throw error;
    return error.message;
  }
}

/** Makes a client's databases, on the server of its engine. */
export async function openDatabases(
  { postgres, mysql }: { postgres?: Postgres | undefined; mysql?: DatabaseServer | undefined },
  { name, databases: [configured] = [], jobs }: (typeof configuration)['deployments'][number],
): Promise<{ store: MessageStore | undefined; database: ClientDatabase }> {
  const { prefix = `${name}_`, engine = 'postgres', host = 'localhost' } = configured ?? {};
  const address = { host, certificateAuthority: (await keepCertificate(host, host)).certificate };
  if (ENGINES[engine] === 'postgres') {
    if (!postgres) throw new Error(`The databases of ${name} are PostgreSQL's, and there is no such server.`);
    const store = await openMessageStore(postgres, prefix);
    const { users: [one, other] = [], owner } = jobs.credentialRotation?.strategy ?? {};
    const names = one && other && owner ? { users: [one, other] as const, owner } : undefined;
    return { store, database: postgresClient(postgres, store, address, names) };
  }
  if (!mysql) throw new Error(`The databases of ${name} are of ${engine}, and there is no such server.`);
  return { store: undefined, database: await mysqlClient(mysql, prefix, address) };
}

async function certificateOf(family: (typeof ENGINES)[Engine]) {
  const [host = 'localhost'] = sample.deployments.flatMap(({ databases = [] }) =>
    databases.flatMap(({ host, engine }) => (ENGINES[engine] === family ? [host] : [])),
  );
  return keepCertificate(host, host);
}
