import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { createConnection } from 'mysql2/promise';
import type { DatabaseAddress, Login } from '../../../../functions/shared/database/contract/engine.ts';
import {
  ConnectionRefused,
  DatabaseUnreachable,
  LoginRefused,
  StatementRefused,
} from '../../../../functions/shared/database/contract/errors.ts';
import { withMysql } from '../../../../functions/shared/database/mysql-and-mariadb/session.ts';
import { withPostgres } from '../../../../functions/shared/database/postgres/session.ts';
import { credentialRotation } from '../../../../functions/shared/database/registry.ts';
import {
  anyPassword,
  databaseFor,
  mariadbDatabase,
  mysqlDatabase,
  postgresDatabase,
  type TestDatabase,
} from '../../rotate-secret/databases.ts';
import { rejected } from './helpers.ts';
import { connect } from './postgres/sessions.ts';

/** A way in which a real server ends a login, and what the operator is told. */
interface End {
  what: string;
  /** Statements of an administrator; `USER` stands for the user's name. Undone by `after`. */
  before?: readonly string[];
  after?: readonly string[];
  /** Logs in with another password first. */
  wrongFirst?: boolean;
  /** Keeps a session of the user meanwhile. */
  connected?: boolean;
  wrongPassword?: boolean;
  database?: string;
  error: new (message: string) => Error;
  text: RegExp;
}

const MYSQL_FAMILY: End[] = [
  {
    what: 'another password',
    wrongPassword: true,
    error: LoginRefused,
    text: /1045.*password is another one/,
  },
  {
    what: 'a locked account',
    before: ['ALTER USER USER ACCOUNT LOCK'],
    after: ['ALTER USER USER ACCOUNT UNLOCK'],
    error: LoginRefused,
    text: /(3118|4151).*ACCOUNT UNLOCK/,
  },
  { what: 'a database without a right', database: 'mysql', error: ConnectionRefused, text: /1044.*GRANT/ },
  {
    what: 'a database that there is not',
    before: ['GRANT SELECT ON none.* TO USER'],
    after: ['REVOKE SELECT ON none.* FROM USER'],
    database: 'none',
    error: ConnectionRefused,
    text: /1049.*no database/,
  },
  {
    what: 'a limit of its own',
    before: ['ALTER USER USER WITH MAX_USER_CONNECTIONS 1'],
    after: ['ALTER USER USER WITH MAX_USER_CONNECTIONS 0'],
    connected: true,
    error: ConnectionRefused,
    text: /1226.*raise MAX_USER_CONNECTIONS/,
  },
];

const MYSQL: End[] = [
  ...MYSQL_FAMILY,
  {
    what: 'an expired password',
    before: ['ALTER USER USER PASSWORD EXPIRE'],
    error: LoginRefused,
    text: /1862.*PASSWORD EXPIRE NEVER/,
  },
  {
    what: 'a block after failed logins',
    before: ['ALTER USER USER FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME 1'],
    wrongFirst: true,
    error: ConnectionRefused,
    text: /3955.*look for what still has an old password, then ALTER USER … ACCOUNT UNLOCK/,
  },
  {
    what: 'offline mode',
    before: ['SET GLOBAL offline_mode = ON'],
    after: ['SET GLOBAL offline_mode = OFF'],
    error: ConnectionRefused,
    text: /3032.*offline mode/,
  },
  {
    what: 'as many connections as a user may have',
    before: ['SET GLOBAL max_user_connections = 1'],
    after: ['SET GLOBAL max_user_connections = 0'],
    connected: true,
    error: DatabaseUnreachable,
    text: /1203.*max_user_connections/,
  },
];

const POSTGRES: End[] = [
  {
    what: 'another password',
    wrongPassword: true,
    error: LoginRefused,
    text: /28P01.*password is another one/,
  },
  {
    what: 'an expired password',
    before: ["ALTER ROLE USER VALID UNTIL '2001-01-01'"],
    error: LoginRefused,
    text: /28P01.*VALID UNTIL/,
  },
  {
    what: 'no right to log in',
    before: ['ALTER ROLE USER NOLOGIN'],
    error: LoginRefused,
    text: /28000.*NOLOGIN/,
  },
  {
    what: 'a database without a right',
    before: ['CREATE DATABASE closed', 'REVOKE CONNECT ON DATABASE closed FROM PUBLIC'],
    database: 'closed',
    error: ConnectionRefused,
    text: /to closed \(SQLSTATE 42501\).*GRANT CONNECT/,
  },
  {
    what: 'a database that there is not',
    database: 'none',
    error: ConnectionRefused,
    text: /3D000.*no database/,
  },
  {
    what: 'a database that takes none',
    before: ['CREATE DATABASE resting ALLOW_CONNECTIONS false'],
    database: 'resting',
    error: ConnectionRefused,
    text: /55000.*datallowconn/,
  },
  {
    what: 'as many connections as it may have',
    before: ['ALTER ROLE USER CONNECTION LIMIT 1'],
    connected: true,
    error: DatabaseUnreachable,
    text: /53300.*CONNECTION LIMIT/,
  },
];

for (const [name, start, ends] of [
  ['MySQL', mysqlDatabase, MYSQL],
  ['MariaDB', mariadbDatabase, MYSQL_FAMILY],
  ['PostgreSQL', postgresDatabase, POSTGRES],
] as const)
  test(`${name} was reached and says no: the operator is told what it said, and nothing of the network`, async (t) => {
    const isPostgres = name === 'PostgreSQL';
    const database = await databaseFor(
      t,
      start,
      isPostgres ? { kind: 'single-password', user: 'wa' } : { kind: 'dual-password' },
    );
    if (database === undefined) return;
    const { address, query } = database;
    for (const [index, end] of ends.entries())
      await t.test(end.what, async () => {
        const login = { username: `user${index}`, password: anyPassword() };
        await query(
          isPostgres
            ? `CREATE ROLE ${login.username} LOGIN PASSWORD '${login.password}'`
            : `CREATE USER ${login.username} IDENTIFIED BY '${login.password}'`,
        );
        const run = async (statements: readonly string[] = []) => {
          for (const statement of statements)
            await query(
              statement
                .replaceAll('USER USER', `USER ${login.username}`)
                .replaceAll('ROLE USER', `ROLE ${login.username}`)
                .replaceAll('TO USER', `TO ${login.username}`)
                .replaceAll('FROM USER', `FROM ${login.username}`),
            );
        };
        const at = end.database === undefined ? address : { ...address, database: end.database };
        const rotation = await credentialRotation(at, database.strategy);
        await run(end.before);
        // A limit counts the sessions that begin under it.
        const close = end.connected ? await keptSession(database, login) : undefined;
        if (end.wrongFirst) await rotation.test({ ...login, password: 'wrong' }).catch(() => {});
        const used = end.wrongPassword ? { ...login, password: anyPassword() } : login;
        const error = await rejected(rotation.test(used), end.error);
        await run(end.after);
        await close?.();
        assert.match(error.message, end.text);
        assert.doesNotMatch(error.message, /security groups|certificate authority/);
        for (const { password } of [login, used]) assert.ok(!error.message.includes(password));
      });
  });

async function keptSession({ address }: TestDatabase, login: Login): Promise<() => Promise<void>> {
  if (address.engine === 'postgres') {
    const client = await connect(address, login);
    return () => client.end();
  }
  const connection = await mysqlConnection(address, login);
  return () => connection.end();
}

function mysqlConnection({ host, port, certificateAuthority: ca }: DatabaseAddress, login: Login) {
  return createConnection({ host, port, user: login.username, password: login.password, ssl: { ca } });
}

for (const [name, start] of [
  ['MySQL', mysqlDatabase],
  ['MariaDB', mariadbDatabase],
  ['PostgreSQL', postgresDatabase],
] as const)
  test(`${name} quotes statements with a password in its errors, and none of ours does`, async (t) => {
    const isPostgres = name === 'PostgreSQL';
    const strategy = isPostgres
      ? ({ kind: 'single-password', user: 'wa' } as const)
      : ({ kind: 'dual-password' } as const);
    const database = await databaseFor(t, start, strategy);
    if (database === undefined) return;
    const { address, rotator, query } = database;
    const password = 'Quoted-1-back';
    const statements = [
      `ALTER ${isPostgres ? 'ROLE' : 'USER'} '${password}' nonsense '${password}'`,
      `ALTER ${isPostgres ? 'ROLE' : 'USER'} nobody ${isPostgres ? 'PASSWORD' : 'IDENTIFIED BY'} '${password}' '${password}'`,
      `SELECT '${password}'::nonsense`,
      `SET nonsense_setting_${isPostgres ? '.x' : ''} = '${password}' nonsense`,
    ];
    let quoted = 0;
    for (const statement of statements) {
      const theirs = await query(statement).then(
        () => assert.fail('the server took it'),
        (error: unknown) => inspect(error),
      );
      const work = ({ query: ask }: { query(text: string): Promise<unknown> }) => ask(statement);
      const ours = await rejected<Error>(
        isPostgres ? withPostgres(address, rotator, work) : withMysql(address, rotator, work),
        StatementRefused,
      );
      if (theirs.includes(password)) quoted += 1;
      assert.ok(!inspect(ours, { depth: 9, showHidden: true }).includes(password));
    }
    assert.ok(quoted > 0, 'the driver shows it in at least one');
  });
