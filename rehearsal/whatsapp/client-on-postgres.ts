import pg from 'pg';
import type { Login } from '../../functions/shared/database/contract/engine.ts';
import { scramVerifier } from '../../functions/shared/database/postgres/scram.ts';
import { socketFrom } from '../aws/containers/client-socket.ts';
import { type Postgres, startPostgres } from '../databases/postgres.ts';
import { anyPassword, type ClientAddress, type ClientDatabase } from './client-database.ts';
import type { MessageStore } from './message-store.ts';

/** The names of alternating users and of the role that both act as. */
interface AlternatingUsers {
  users: readonly [string, string];
  owner: string;
}

/** That of a client whose databases a message store made, on PostgreSQL. */
export function postgresClient(
  server: Postgres,
  store: MessageStore,
  { host, certificateAuthority }: ClientAddress,
  names: AlternatingUsers | undefined,
): ClientDatabase {
  const { port } = server;
  const { pool, databases } = store;
  const [messageDatabase = ''] = databases;
  const logInTo =
    (port: number): ClientDatabase['logIn'] =>
    async (login, address) => {
      const server = { host, certificateAuthority, port, database: messageDatabase };
      const client = await connectFrom(address, login, server);
      await client.query('SELECT FROM chats LIMIT 1');
      return () => client.end();
    };
  return {
    port,
    count: store.count,
    drop: store.drop,
    async createSizeUser(username) {
      const password = anyPassword();
      await createRole(pool, username, `LOGIN PASSWORD '${password}'`);
      for (const database of databases) {
        await pool.query(`REVOKE ALL ON DATABASE "${database}" FROM PUBLIC`);
        await pool.query(`GRANT CONNECT ON DATABASE "${database}" TO ${username}`);
      }
      return { username, password };
    },
    async createUsers() {
      if (!names) throw new Error('PostgreSQL has alternating users only, and the configuration names none.');
      const { owner } = names;
      const made = await createAlternatingUsers(pool, names);
      for (const database of databases) await pool.query(`ALTER DATABASE "${database}" OWNER TO ${owner}`);
      for (const table of ['messages', 'chats', 'messages_receipt_log', 'media'])
        await pool.query(`ALTER TABLE ${table} OWNER TO ${owner}`);
      return made;
    },
    async administer(statement, values) {
      await pool.query(statement, values);
    },
    logIn: logInTo(port),
    async startReplica(certificate) {
      const replica = await startPostgres({ tls: certificate, standbyOf: server });
      return { port: replica.port, logIn: logInTo(replica.port), stop: replica.stop };
    },
  };
}

/** Logs in by TLS, as a container that has an address. */
export async function connectFrom(
  address: string | undefined,
  { username, password }: Login,
  { host, certificateAuthority, port, database }: ClientAddress & Pick<Postgres, 'port' | 'database'>,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    stream: () => socketFrom(address),
    user: username,
    password,
    database,
    ssl: { ca: certificateAuthority, servername: host },
  });
  // A server that is stopped under an idle connection is no error of ours.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Makes the role that both act as, the users, of whom the first logs in, and who changes their passwords. */
export async function createAlternatingUsers(
  pool: MessageStore['pool'],
  { users, owner }: AlternatingUsers,
): Promise<{ user: Login; administrator: Login }> {
  const [username] = users;
  const user = { username, password: anyPassword() };
  const administrator = { username: `${owner}_rotator`, password: anyPassword() };
  const verifier = ({ password }: Login) => pg.escapeLiteral(scramVerifier(password));
  for (const role of [...users, administrator.username, owner])
    await pool.query(`DROP ROLE IF EXISTS ${role}`);
  await pool.query(`CREATE ROLE ${owner} NOLOGIN`);
  await pool.query(
    `CREATE ROLE ${administrator.username} LOGIN CREATEROLE PASSWORD ${verifier(administrator)}`,
  );
  await pool.query(`GRANT pg_read_all_stats TO ${administrator.username}`);
  for (const name of users) {
    const login = name === username ? `LOGIN PASSWORD ${verifier(user)}` : 'NOLOGIN';
    await pool.query(`CREATE ROLE ${name} ${login} IN ROLE ${owner}`);
    await pool.query(`ALTER ROLE ${name} SET role = '${owner}'`);
    await pool.query(`GRANT ${name} TO ${administrator.username} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`);
  }
  return { user, administrator };
}

async function createRole(pool: MessageStore['pool'], name: string, options: string): Promise<void> {
  await pool.query(`DROP ROLE IF EXISTS ${name}`);
  await pool.query(`CREATE ROLE ${name} ${options}`);
}
