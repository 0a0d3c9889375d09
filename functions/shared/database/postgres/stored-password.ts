import { createHash } from 'node:crypto';
import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { LoginRefused } from '../contract/errors.ts';
import type { PasswordForm } from '../contract/rotation.ts';
import { scramVerifier } from './scram.ts';
import { type PasswordExchange, type PostgresSession, withPostgres } from './session.ts';

/**
 * What `ALTER ROLE` is told to give a login its password: in the form in which the server keeps those of the logins given,
 * for a client so old that it needs md5 could not log in with another. Never the password itself.
 *
 * @param known logins that may be valid now: the first that is tells. @default the server's own `password_encryption`
 * @param storeAs the form that is configured. @default that of the logins given
 * @throws RotationRefused if the password cannot be brought into that form
 */
export async function passwordClause(
  address: DatabaseAddress,
  session: PostgresSession,
  login: Login,
  known: readonly Login[],
  storeAs?: PasswordForm,
): Promise<string> {
  const [server] = await session.query(
    "SELECT current_setting('password_encryption') AS encryption, current_setting('scram_iterations', true) AS iterations",
  );
  const exchange =
    storeAs === 'scram-sha-256'
      ? 'scram'
      : ((await exchangeOf(address, known)) ?? (server?.encryption === 'md5' ? 'md5' : 'scram'));
  const stored =
    exchange === 'md5'
      ? md5Hash(login)
      : scramVerifier(login.password, server?.iterations ? { iterations: Number(server.iterations) } : {});
  return `PASSWORD ${pg.escapeLiteral(stored)}`;
}

/** By how the server asks for the password: of one that it keeps by md5 it can make no other question. */
async function exchangeOf(
  address: DatabaseAddress,
  logins: readonly Login[],
): Promise<PasswordExchange | undefined> {
  for (const login of logins) {
    try {
      return await withPostgres(address, login, async ({ exchange }) => exchange);
    } catch (error) {
      if (!(error instanceof LoginRefused)) throw error;
    }
  }
  return undefined;
}

/**
 * Tells that the current password is kept by md5, and so is the next one, as long as nothing else is configured.
 * PostgreSQL's manual (release 18) announces that the form will go.
 */
export async function warnOfMd5(
  address: DatabaseAddress,
  current: Login,
  storeAs: PasswordForm | undefined,
): Promise<string[]> {
  if (storeAs !== undefined || (await exchangeOf(address, [current])) !== 'md5') return [];
  return [
    `PostgreSQL keeps the password of ${current.username} by md5, and so it will the next one. The form is to be removed from PostgreSQL: once every client knows SCRAM (libpq 10 and later), configure storeAs: "scram-sha-256".`,
  ];
}

/** As PostgreSQL's manual has it for pg_authid: the password with the user name after it. */
function md5Hash({ username, password }: Login): string {
  return `md5${createHash('md5').update(password).update(username).digest('hex')}`;
}
