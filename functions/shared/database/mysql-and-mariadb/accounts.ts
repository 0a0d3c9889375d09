import type { Login } from '../contract/engine.ts';
import { missingPrivilege, RotationRefused, StatementRefused } from '../contract/errors.ts';
import { ABSENCE_ERRORS, lacksPrivilege } from './errors.ts';
import type { MysqlSession } from './session.ts';

/** A change of a user's accounts. */
export interface AccountChange {
  /** Who makes it. */
  admin: Login;
  username: string;
  hosts: readonly string[];
  /** What `ALTER USER` is told for each account, with `?` for each of the values. */
  option: string;
  values?: readonly unknown[];
  /** What it is told for all of them together. */
  suffix?: string;
  /** The statement that allows it, without `TO account`. */
  grant: string;
}

/**
 * Changes all of a user's accounts (`user@host`) by one statement, so that all change or none.
 * @throws {@link MissingPrivilege}, {@link StatementRefused}, {@link DatabaseUnreachable}
 */
export async function alterAccounts(session: MysqlSession, change: AccountChange): Promise<void> {
  const { admin, username, hosts, option, values = [], suffix = '', grant } = change;
  const list = hosts.map(() => `?@? ${option}`).join(', ');
  try {
    await session.query(
      `ALTER USER ${list} ${suffix}`,
      hosts.flatMap((host) => [username, host, ...values]),
    );
  } catch (error) {
    if (!lacksPrivilege(error)) throw error;
    throw missingPrivilege(
      admin.username,
      `change ${username} on ${hosts.join(', ')}`,
      `${grant} TO ${await ownAccount(session)}`,
    );
  }
}

/**
 * Reads accounts, which needs a privilege of its own.
 * @param request the statement, with one `?` for the list of users, what allows it (without `TO account`), and the first version of the server
 * that has what it reads.
 * @throws {@link MissingPrivilege}, {@link RotationRefused}, {@link StatementRefused}, {@link DatabaseUnreachable}
 */
export async function readAccounts(
  session: MysqlSession,
  admin: Login,
  usernames: readonly string[],
  { statement, grant, since }: { statement: string; grant: string; since: string },
): Promise<Record<string, unknown>[]> {
  try {
    const rows = await session.query(statement, [usernames]);
    // A server that cuts or folds a name would have us change somebody else.
    const other = rows.find(({ username }) => !usernames.includes(String(username)));
    if (other === undefined) return rows;
    throw new RotationRefused(
      `The server takes ${usernames.join(' or ')} for ${other.username}. Name the users as the server does.`,
    );
  } catch (error) {
    if (error instanceof StatementRefused && ABSENCE_ERRORS.has(error.code)) {
      throw new RotationRefused(
        `The server is older than ${since}, which this strategy needs. Upgrade it, or use another strategy.`,
      );
    }
    if (!lacksPrivilege(error)) throw error;
    throw missingPrivilege(
      admin.username,
      `see the state of ${usernames.join(' and ')}`,
      `${grant} TO ${await ownAccount(session)}`,
    );
  }
}

/** The account whose rights a session has, as a statement names it: one of another host's has others. */
export async function ownAccount(session: MysqlSession): Promise<string> {
  const [row] = await session.query('SELECT CURRENT_USER() AS account');
  const [, username = '', host = '%'] = /^(.*)@(.*)$/s.exec(String(row?.account)) ?? [];
  return host === '%' ? accountName(username) : `${accountName(username)}@'${host}'`;
}

/** A user's name as a statement has it, in the text of an error. */
export function accountName(username: string): string {
  return /^[A-Za-z_]\w*$/.test(username) ? username : `'${username.replaceAll(/['\\]/g, '\\$&')}'`;
}
