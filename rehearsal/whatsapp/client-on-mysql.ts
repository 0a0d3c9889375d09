import { createConnection } from 'mysql2/promise';
import type { Login } from '../../functions/shared/database/contract/engine.ts';
import { socketFrom } from '../aws/containers/client-socket.ts';
import type { DatabaseServer } from '../databases/mysql-family.ts';
import { anyPassword, type ClientAddress, type ClientDatabase } from './client-database.ts';
import { CLIENT_DATABASES } from './message-store.ts';

/** Of each table. So few that InnoDB's sample is all of them. */
const ROWS = 500;
const USER = 'whatsapp';

/** Who changes its password: on MySQL the user itself may. */
const ADMINISTRATORS = { mysql: USER, mariadb: 'rotator' };

/** What lets who changes it do so, and see who logs in: on MySQL with which of two passwords too, where the server tells that. */
const RIGHTS = {
  mysql: [
    'GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO ?',
    'GRANT SELECT (User, Host, plugin, authentication_string, account_locked, User_attributes) ON mysql.user TO ?',
    'GRANT SELECT ON performance_schema.error_log TO ?',
  ],
  mariadb: [
    'GRANT CREATE USER ON *.* TO ?',
    'GRANT SELECT ON mysql.global_priv TO ?',
    'GRANT PROCESS ON *.* TO ?',
  ],
};

/** That of a client on MySQL or MariaDB, of which only what is here is played: its databases with some rows. */
export async function mysqlClient(
  { engine, port, user, password }: DatabaseServer,
  prefix: string,
  { host, certificateAuthority }: ClientAddress,
): Promise<ClientDatabase> {
  const connection = (login: Login, address?: string) =>
    createConnection({
      host,
      stream: () => {
        const socket = socketFrom(address);
        socket.connect(port, '127.0.0.1');
        return socket;
      },
      user: login.username,
      password: login.password,
      // On a busy machine the driver's ten seconds pass, and nothing is wrong.
      connectTimeout: 0,
      // The driver makes room for so many at once, and by default for thousands.
      maxPreparedStatements: 1,
      ssl: { ca: certificateAuthority, verifyIdentity: true },
    });
  /** What each statement counted, where it counted something. */
  const administer = async (statements: [string, unknown[]?][]): Promise<number[]> => {
    const administrator = await connection({ username: user, password });
    const counts: number[] = [];
    try {
      for (const [statement, values = []] of statements) {
        const [rows] = await administrator.query(statement, values);
        if (Array.isArray(rows)) for (const row of rows) if ('count' in row) counts.push(Number(row.count));
      }
    } finally {
      await administrator.end();
    }
    return counts;
  };
  const databases = CLIENT_DATABASES.map((name) => `${prefix}${name}`);
  const [store] = databases;
  const rows = `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${ROWS})
    SELECT n, repeat('x', 40) FROM numbers`;
  await administer([
    ...databases.flatMap((name): [string, unknown[]][] => [
      ['DROP DATABASE IF EXISTS ??', [name]],
      ['CREATE DATABASE ??', [name]],
    ]),
    ...['messages', 'media'].flatMap((table): [string, unknown[]][] => [
      ['CREATE TABLE ??.?? (id BIGINT PRIMARY KEY, data TEXT)', [store, table]],
      [`INSERT INTO ??.?? ${rows}`, [store, table]],
      ['ANALYZE TABLE ??.??', [store, table]],
    ]),
  ]);
  return {
    port,
    async count() {
      const [messages = 0, media = 0] = await administer([
        ['SELECT count(*) AS count FROM ??.messages', [store]],
        ['SELECT count(*) AS count FROM ??.media', [store]],
      ]);
      return { messages, sent: 0, pending: messages, read: 0, unread: 0, media };
    },
    async createSizeUser(username) {
      const login = { username, password: anyPassword() };
      await administer([
        ['DROP USER IF EXISTS ?', [username]],
        ['CREATE USER ? IDENTIFIED BY ?', [username, login.password]],
        ...databases.map((name): [string, unknown[]] => ['GRANT REFERENCES ON ??.* TO ?', [name, username]]),
        ['GRANT PROCESS ON *.* TO ?', [username]],
      ]);
      return login;
    },
    async createUsers() {
      const user = { username: USER, password: anyPassword() };
      const administrator = ADMINISTRATORS[engine];
      const other = administrator === USER ? undefined : { username: administrator, password: anyPassword() };
      await administer([
        ...[user, ...(other ? [other] : [])].flatMap(({ username, password }): [string, unknown[]][] => [
          ['DROP USER IF EXISTS ?', [username]],
          ['CREATE USER ? IDENTIFIED BY ?', [username, password]],
        ]),
        ...databases.map((name): [string, unknown[]] => ['GRANT ALL ON ??.* TO ?', [name, USER]]),
        ...RIGHTS[engine].map((grant): [string, unknown[]] => [grant, [administrator]]),
      ]);
      return { user, administrator: other };
    },
    async logIn(login, address) {
      const client = await connection(login, address);
      client.on('error', () => {});
      await client.query('SELECT id FROM ??.messages LIMIT 1', [store]);
      return () => client.end();
    },
    async administer(statement, values) {
      await administer([[statement, values ?? []]]);
    },
    async drop() {
      await administer(databases.map((name) => ['DROP DATABASE ??', [name]]));
    },
  };
}
