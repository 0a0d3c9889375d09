import type { DatabaseSizeSettings } from '../functions/database-size/contract.ts';
import sample from '../upkeep.config.ts';
import { keepCertificate } from './certificates.ts';
import { type Postgres, startPostgres } from './databases/postgres.ts';
import type { MessageStore } from './whatsapp/message-store.ts';

/** Starts the server of all clients' databases, with the certificate that the sample's host name asks for. */
export async function startClientDatabases(): Promise<Postgres> {
  const [host = 'localhost'] = sample.deployments.flatMap(({ databases = [] }) =>
    databases.map(({ host }) => host),
  );
  return startPostgres({
    tls: await keepCertificate(host, host),
    // Its estimates are those of its counters, so that a night can be held against what SQL counts.
    settings: { autovacuum: 'off' },
  });
}

/** `WA_DB_NAME_PREFIX` of the databases that a database-size looks at. */
export function prefixOf({ sets: [set] }: DatabaseSizeSettings): string {
  const [database = ''] = set?.tables.find(({ table }) => table === 'messages')?.databases ?? [];
  return database.replace(/messageStore$/, '');
}

/** Makes the user of a database-size, who may connect to the client's databases and nothing else. */
export async function createSizeUser(
  { pool, databases }: MessageStore,
  username: string,
): Promise<{ username: string; password: string }> {
  const password = crypto.randomUUID();
  await pool.query(`DROP ROLE IF EXISTS ${username}`);
  await pool.query(`CREATE ROLE ${username} LOGIN PASSWORD '${password}'`);
  for (const database of databases) {
    await pool.query(`REVOKE ALL ON DATABASE "${database}" FROM PUBLIC`);
    await pool.query(`GRANT CONNECT ON DATABASE "${database}" TO ${username}`);
  }
  return { username, password };
}
