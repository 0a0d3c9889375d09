import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import {
  type DatabaseAddress,
  ENGINES,
  type Login,
} from '../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../functions/shared/database/contract/rotation.ts';
import { alternatingUsers } from '../../functions/shared/database/rotation/strategies.ts';
import { socketFrom } from '../aws/containers/client-socket.ts';
import { startMariadb } from '../databases/mariadb.ts';
import { startMysql } from '../databases/mysql.ts';
import { startPostgres } from '../databases/postgres.ts';
import { type Certificate, createCertificate } from '../whatsapp/certificate.ts';
import type { LogIn } from '../whatsapp/logins.ts';

/** A real server in place of one that a rotation names, with the users that its strategy needs. */
export interface RotatedDatabase {
  port: number;
  /** Whose password is rotated. */
  user: Login;
  /** May do everything there. */
  administrator: Login;
  logIn: LogIn;
  stop(): Promise<unknown>;
}

export async function startRotatedDatabase(
  { engine, host }: DatabaseAddress,
  strategy: Strategy,
  certificate: Certificate,
): Promise<RotatedDatabase> {
  const family = ENGINES[engine];
  const first = firstUserOf(strategy);
  const user = { username: first, password: anyPassword() };
  const { other } = strategy.kind === 'alternating-users' ? alternatingUsers(engine, strategy, first) : {};
  if (family === 'postgres') return startOnPostgres({ host, certificate, user, other, strategy });
  const start = family === 'mysql' ? startMysql : startMariadb;
  const server = await start({ certificate: { ...certificate, authority: certificate.certificate } });
  const administrator = { username: server.user, password: server.password };
  const connect = (login: Login, address?: string) =>
    createConnection({
      host,
      stream: () => {
        const socket = socketFrom(address);
        socket.connect(server.port, '127.0.0.1');
        return socket;
      },
      user: login.username,
      password: login.password,
      // On a busy machine the driver's ten seconds pass, and nothing is wrong.
      connectTimeout: 0,
      ssl: { ca: certificate.certificate, verifyIdentity: true },
    });
  const admin = await connect(administrator);
  const plugin =
    family === 'mariadb' ? 'IDENTIFIED VIA mysql_native_password USING PASSWORD(?)' : 'IDENTIFIED BY ?';
  await admin.query(`CREATE USER ?@'%' ${plugin}`, [user.username, user.password]);
  if (other) await admin.query(`CREATE USER ?@'%' ${plugin} ACCOUNT LOCK`, [other, anyPassword()]);
  if (family === 'mysql' && strategy.kind === 'dual-password')
    for (const right of OWN_PASSWORD_RIGHTS) await admin.query(`GRANT ${right} TO ?@'%'`, [user.username]);
  await admin.end();
  return {
    port: server.port,
    user,
    administrator,
    async logIn(login, address) {
      const connection = await connect(login, address);
      connection.on('error', () => {});
      return () => connection.end();
    },
    stop: () => server.stop(),
  };
}

/** What docs/credential-rotation.md has granted to a user that changes its own password. */
const OWN_PASSWORD_RIGHTS = [
  'APPLICATION_PASSWORD_ADMIN ON *.*',
  'SELECT (User, Host, plugin, authentication_string, account_locked, User_attributes, Password_reuse_history, Password_reuse_time) ON mysql.user',
];

interface OnPostgres {
  host: string;
  certificate: Certificate;
  user: Login;
  other: string | undefined;
  strategy: Strategy;
}

async function startOnPostgres({
  host,
  certificate,
  user,
  other,
  strategy,
}: OnPostgres): Promise<RotatedDatabase> {
  const server = await startPostgres({ tls: certificate });
  const administrator = { username: server.user, password: server.password };
  const clientOf = ({ username, password }: Login, address?: string) =>
    new pg.Client({
      host: '127.0.0.1',
      port: server.port,
      stream: () => socketFrom(address),
      user: username,
      password,
      database: server.database,
      ssl: { ca: certificate.certificate, servername: host },
    });
  const admin = clientOf(administrator);
  await admin.connect();
  const name = pg.escapeIdentifier;
  const owner = 'owner' in strategy ? strategy.owner : undefined;
  if (owner) await admin.query(`CREATE ROLE ${name(owner)} NOLOGIN`);
  for (const each of [user.username, ...(other ? [other] : [])]) {
    const login = each === user.username ? `LOGIN PASSWORD ${pg.escapeLiteral(user.password)}` : 'NOLOGIN';
    await admin.query(`CREATE ROLE ${name(each)} ${login}`);
    const actsAs = owner ?? (each === other ? user.username : undefined);
    if (actsAs === undefined) continue;
    await admin.query(`GRANT ${name(actsAs)} TO ${name(each)}`);
    await admin.query(`ALTER ROLE ${name(each)} SET role = ${pg.escapeLiteral(actsAs)}`);
  }
  await admin.end();
  return {
    port: server.port,
    user,
    administrator,
    async logIn(login, address) {
      const client = clientOf(login, address);
      client.on('error', () => {});
      await client.connect();
      return () => client.end();
    },
    stop: () => server.stop(),
  };
}

function firstUserOf(strategy: Strategy): string {
  if (strategy.kind === 'alternating-users') return strategy.users?.[0] ?? 'app';
  return 'user' in strategy && strategy.user ? strategy.user : 'app';
}

function anyPassword(): string {
  return `Pw1-${randomBytes(15).toString('base64url')}`;
}

/** One for each host: what trusts all of them trusts each server. */
export async function certificatesFor(hosts: string[]): Promise<Map<string, Certificate>> {
  const made = [...new Set(hosts)].map(async (host) => [host, await createCertificate(host)] as const);
  return new Map(await Promise.all(made));
}
