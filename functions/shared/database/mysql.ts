import { RotationRefused } from './errors.ts';
import { mysqlAlternating } from './mysql-alternating.ts';
import {
  alterAccounts,
  type MysqlSession,
  mysqlAccepts,
  mysqlSessions,
  mysqlStatus,
  proveMysqlLogin,
  readAccounts,
  withMysqlLock,
} from './mysql-session.ts';
import { isHashOf } from './password-hash.ts';
import {
  type CredentialRotation,
  currentRefused,
  type DatabaseAddress,
  type SetOutcome,
  type SetRequest,
  type Strategy,
  unfinished,
  unretired,
} from './rotation.ts';
import type { Login } from './secret.ts';

/** Rotation on MySQL and Aurora MySQL. */
export function mysqlRotation(address: DatabaseAddress, strategy: Strategy): CredentialRotation {
  return {
    ...(strategy.kind === 'alternating-users'
      ? mysqlAlternating(address, strategy, {
          accounts: lockableAccounts,
          accepts: (login) => mysqlAccepts(address, login),
          identifiedBy: (password) => ({ option: 'IDENTIFIED BY ?', values: [password] }),
          alter: alterAccounts,
        })
      : dualPassword(address)),
    test: (login) => proveMysqlLogin(address, login),
    sessions: (admin, username) => mysqlSessions(address, admin, username),
    // There is no count of refused logins alone: this one also has connections that broke off before the login.
    refusedLogins: (admin) => mysqlStatus(address, admin, 'Aborted_connects'),
  };
}

/**
 * One user, two passwords: `RETAIN CURRENT PASSWORD` keeps the old one as the account's secondary password,
 * `DISCARD OLD PASSWORD` drops it. MySQL has one secondary password: retaining twice drops what was there, the
 * password in use. So the account's state is read first, under a lock: the server's hash of the secondary
 * password, compared with ours, tells whose it is without a login.
 */
function dualPassword(
  address: DatabaseAddress,
): Pick<CredentialRotation, 'nextUsername' | 'set' | 'retained' | 'retire'> {
  return {
    nextUsername: (current) => current,

    set: ({ admin, current, pending }) =>
      withMysqlLock(address, admin, current.username, (session) =>
        setDual(address, session, { admin, current, pending }),
      ),

    retained: (admin, current) =>
      withMysqlLock(address, admin, current.username, async (session) => {
        const accounts = await dualAccounts(session, admin, current.username);
        return accounts.some((account) => account.secondary !== undefined);
      }),

    retire: ({ admin, read, username }) =>
      withMysqlLock(address, admin, username, async (session) => {
        const { current, pending } = await read();
        const accounts = await dualAccounts(session, admin, username);
        const retained = accounts.filter((account) => account.secondary !== undefined);
        if (retained.length === 0) return 'nothing-to-retire';
        const reversed = retained.filter((account) => secondaryIs(account, current));
        if (reversed.length > 0) {
          if (pending !== undefined) throw unfinished(username);
          // An abandoned rotation left its lost password first and the one in use second.
          await alter(session, admin, username, reversed, 'IDENTIFIED BY ?', [current.password]);
        } else if (admin.username !== username && !(await mysqlAccepts(address, current))) {
          throw currentRefused(current);
        }
        await alter(session, admin, username, retained, 'DISCARD OLD PASSWORD');
        return 'retired';
      }),
  };
}

async function setDual(
  address: DatabaseAddress,
  session: MysqlSession,
  { admin, current, pending }: Omit<SetRequest, 'previous'>,
): Promise<SetOutcome> {
  const { username } = current;
  const accounts = await dualAccounts(session, admin, username);
  const fresh = accounts.filter((account) => account.secondary === undefined);
  const doubled = accounts.filter((account) => secondaryIs(account, pending));
  const retaining = accounts.filter((account) => secondaryIs(account, current));
  if (fresh.length + doubled.length + retaining.length < accounts.length) {
    throw unretired(username, `${username} still has the old password of an earlier rotation`);
  }
  // The current one is second, so the first is the pending one, or one that an abandoned rotation lost.
  const abandoned = retaining.length > 0 && !(await mysqlAccepts(address, pending)) ? retaining : [];
  const broken = [...doubled, ...abandoned];
  if (broken.length > 0) {
    // Without RETAIN the secondary password stays as it is: from here on the current one is valid again.
    await alter(session, admin, username, broken, 'IDENTIFIED BY ?', [current.password]);
  }
  const toSet = [...fresh, ...broken];
  if (toSet.length === 0) return 'was-set';
  await alter(session, admin, username, toSet, 'IDENTIFIED BY ? RETAIN CURRENT PASSWORD', [pending.password]);
  return broken.length > 0 ? 'healed' : 'set';
}

interface DualAccount {
  host: string;
  /** The hash of the account's secondary password, if it has one. */
  secondary: string | undefined;
}

/** Plugins that keep two passwords. */
const DUAL_PLUGINS = new Set(['caching_sha2_password', 'sha256_password', 'mysql_native_password']);

async function dualAccounts(session: MysqlSession, admin: Login, username: string): Promise<DualAccount[]> {
  const rows = await readAccounts(session, admin, username, {
    statement:
      "SELECT Host AS host, plugin, User_attributes->>'$.additional_password' AS secondary FROM mysql.user WHERE User = ? ORDER BY Host",
    grant: `GRANT SELECT (User, Host, plugin, User_attributes) ON mysql.user TO ${admin.username}`,
  });
  if (rows.length === 0) {
    throw new RotationRefused(
      `There is no user ${username} in the database. Create it, or correct the secret.`,
    );
  }
  return rows.map((row) => {
    const plugin = String(row.plugin);
    if (!DUAL_PLUGINS.has(plugin)) {
      throw new RotationRefused(
        `${username}@${row.host} logs in by ${plugin}, which has no second password. ` +
          'Change the account to caching_sha2_password.',
      );
    }
    return {
      host: String(row.host),
      secondary: typeof row.secondary === 'string' ? row.secondary : undefined,
    };
  });
}

async function lockableAccounts(session: MysqlSession, admin: Login, username: string) {
  const rows = await readAccounts(session, admin, username, {
    statement: 'SELECT Host AS host, account_locked AS locked FROM mysql.user WHERE User = ? ORDER BY Host',
    grant: `GRANT SELECT (User, Host, account_locked) ON mysql.user TO ${admin.username}`,
  });
  return rows.map((row) => ({ host: String(row.host), locked: row.locked === 'Y' }));
}

function secondaryIs(account: DualAccount, { password }: Login): boolean {
  return account.secondary !== undefined && isHashOf(password, account.secondary) === true;
}

async function alter(
  session: MysqlSession,
  admin: Login,
  username: string,
  accounts: readonly DualAccount[],
  option: string,
  values: readonly unknown[] = [],
): Promise<void> {
  const own = admin.username === username && accounts.length === 1;
  await alterAccounts(session, {
    admin,
    username,
    hosts: accounts.map(({ host }) => host),
    option,
    values,
    grant: own
      ? `GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO ${username}`
      : `GRANT CREATE USER ON *.* TO ${admin.username}`,
  });
}
