import { RotationRefused } from './errors.ts';
import {
  type MysqlSession,
  mysqlSessions,
  mysqlStatus,
  proveMysqlLogin,
  withMysql,
  withMysqlLock,
} from './mysql-session.ts';
import { isHashOf } from './password-hash.ts';
import {
  alternatingUsers,
  type CredentialRotation,
  currentRefused,
  type DatabaseAddress,
  type SetOutcome,
  type SetRequest,
  type Strategy,
  stillConnected,
  unfinished,
  unretired,
} from './rotation.ts';
import type { Login } from './secret.ts';

/** What differs between MySQL and MariaDB. */
export interface MysqlDialect {
  /** The global status that counts refused logins. */
  refusedLoginsStatus: string;
  /** All accounts of the users. */
  accounts(session: MysqlSession, admin: Login, usernames: readonly string[]): Promise<Account[]>;
  /** Makes a second password valid beside the current one, which becomes valid again where it was not. */
  addPassword(session: MysqlSession, change: Change & { current: string; next: string }): Promise<void>;
  /** Makes every password but the current one invalid. */
  keepPassword(session: MysqlSession, change: Change & { current: string }): Promise<void>;
  /** Gives locked accounts a password and opens them. */
  openWith(session: MysqlSession, change: Change & { next: string }): Promise<void>;
  lock(session: MysqlSession, change: Change): Promise<void>;
  /**
   * The last thing that is done after a second password was added: sees to it that clients go on logging in with the
   * current one. @default nothing, where adding one touches nothing else
   */
  keepLoggingIn?(session: MysqlSession, current: Login, accounts: readonly Account[]): Promise<void>;
  /** @default none */
  warnings?(session: MysqlSession, accounts: readonly Account[]): Promise<string[]>;
}

/** A user on a host. */
export interface Account {
  username: string;
  host: string;
  locked: boolean;
  /** The server's hashes of the passwords that log in, in its own order: on MySQL the primary one first. */
  hashes: string[];
}

/** Whose accounts are changed, and by whom. */
export interface Change {
  admin: Login;
  username: string;
  accounts: readonly Account[];
}

/**
 * Rotation on MySQL and MariaDB. The state of an account is read from the server and compared with the passwords of
 * the secret, under a lock: without a login, so without a refused one. That is also the proof that whoever wrote
 * the secret knew the user's password: a name alone does not get anybody's password changed.
 */
export function mysqlFamilyRotation(
  address: DatabaseAddress,
  strategy: Strategy,
  dialect: MysqlDialect,
): CredentialRotation {
  return {
    ...(strategy.kind === 'alternating-users'
      ? alternatingUsersOn(address, strategy, dialect)
      : dualPasswordOn(address, dialect)),
    test: (login) => proveMysqlLogin(address, login),
    sessions: (admin, username, patience) =>
      withMysql(address, admin, (session) => mysqlSessions(session, username, patience)),
    refusedLogins: (admin) => mysqlStatus(address, admin, dialect.refusedLoginsStatus),
    warnings: async (admin, { username }) => {
      const { warnings } = dialect;
      if (warnings === undefined) return [];
      return withMysql(address, admin, async (session) =>
        warnings(session, await dialect.accounts(session, admin, [username])),
      );
    },
  };
}

type StrategyMethods = Pick<CredentialRotation, 'nextUsername' | 'set' | 'retained' | 'retire' | 'undo'>;

/** One user, two passwords. A third one would drop one of them, so nothing is done before the state is known. */
function dualPasswordOn(address: DatabaseAddress, dialect: MysqlDialect): StrategyMethods {
  const withAccounts = <T>(
    admin: Login,
    username: string,
    work: (session: MysqlSession, accounts: Account[]) => Promise<T>,
  ) =>
    withMysqlLock(address, admin, username, async (session) => {
      const accounts = await dialect.accounts(session, admin, [username]);
      if (accounts.length > 0) return work(session, accounts);
      throw new RotationRefused(
        `There is no user ${username} in the database. Create it, or correct the secret.`,
      );
    });

  return {
    nextUsername: (current) => current,

    set: ({ admin, pending, current: read }) =>
      withAccounts(admin, pending.username, async (session, accounts) => {
        const current = await read();
        if (current === undefined) return 'was-finished';
        const { username } = current;
        const tasks = accounts.map((account) => ({ account, task: taskFor(account, current, pending) }));
        if (tasks.some(({ task }) => task === 'unknown')) throw currentRefused(current);
        if (tasks.some(({ task }) => task === 'in-use')) {
          throw unretired(username, `${username} still has the old password of an earlier rotation`);
        }
        const undone = tasks.filter(({ task }) => task !== 'done');
        if (undone.length > 0) {
          await dialect.addPassword(session, {
            admin,
            username,
            accounts: undone.map(({ account }) => account),
            current: current.password,
            next: pending.password,
          });
        }
        // Also when an earlier attempt had added it: that may have ended right after.
        await dialect.keepLoggingIn?.(session, current, accounts);
        if (undone.length === 0) return 'was-set';
        return undone.some(({ task }) => task === 'heal') ? 'healed' : 'set';
      }),

    retained: (admin, { username }) =>
      withAccounts(admin, username, async (_, accounts) => accounts.some(({ hashes }) => hashes.length > 1)),

    retire: ({ admin, username, read }) =>
      withAccounts(admin, username, async (session, accounts) => {
        const { current, pending } = await read();
        if (!accounts.every((account) => hasPassword(account, current))) throw currentRefused(current);
        const several = accounts.filter(({ hashes }) => hashes.length > 1);
        if (several.length === 0) return 'nothing-to-retire';
        // The pending one comes first when its rotation has set it, and second while one is being healed.
        const set = several.some(({ hashes: [first = ''] }) => pending && isHashOf(pending.password, first));
        if (set) throw unfinished(username);
        await dialect.keepPassword(session, {
          admin,
          username,
          accounts: several,
          current: current.password,
        });
        return 'retired';
      }),

    // The next set finds the current password in the second place, and heals that.
    undo: async () => 'nothing-to-undo',
  };
}

/** What an account needs in order to have the pending password first and the current one second. */
type Task = 'done' | 'set' | 'heal' | 'in-use' | 'unknown';

function taskFor({ hashes }: Account, current: Login, pending: Login): Task {
  const whose = hashes.map((hash) => {
    if (isHashOf(current.password, hash)) return 'current';
    return isHashOf(pending.password, hash) ? 'pending' : 'other';
  });
  switch (whose.join(' ')) {
    case 'pending current':
      return 'done';
    case 'current':
    case 'current pending':
    case 'current current':
      return 'set';
    // Set twice, or the current one was dropped by somebody else.
    case 'pending':
    case 'pending pending':
    // A rotation that was abandoned has left its lost password before the one in use.
    case 'other current':
      return 'heal';
    case 'other':
    case 'other other':
      return 'unknown';
    // The other one comes from a rotation that ended: what was not restarted since logs in with it.
    default:
      return 'in-use';
  }
}

/**
 * Two users by turns. The one not in use is locked: that is how a retired credential is told from one that
 * containers may still have.
 */
function alternatingUsersOn(
  address: DatabaseAddress,
  strategy: { users?: readonly [string, string] },
  dialect: MysqlDialect,
): StrategyMethods {
  /** The accounts of the user in use, proven to be the secret's, and of the other one. */
  const accountsOf = async (session: MysqlSession, admin: Login, current: Login) => {
    const { one, other } = alternatingUsers(strategy, current.username);
    const accounts = await dialect.accounts(session, admin, [one, other]);
    const used = accounts.filter(({ username }) => username === one);
    const proven = used.every((account) => !account.locked && hasPassword(account, current));
    if (used.length === 0 || !proven) throw currentRefused(current);
    return { other, others: accounts.filter(({ username }) => username === other) };
  };

  return {
    nextUsername: (current) => alternatingUsers(strategy, current).other,

    set: ({ admin, pending, current: read, previous }) => {
      const { lockName } = alternatingUsers(strategy, pending.username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const current = await read();
        if (current === undefined) return 'was-finished';
        const { others } = await accountsOf(session, admin, current);
        return openOther(session, dialect, others, { admin, current, pending, previous });
      });
    },

    retained: (admin, current) => {
      const { lockName } = alternatingUsers(strategy, current.username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const { others } = await accountsOf(session, admin, current);
        return others.some(({ locked }) => !locked);
      });
    },

    retire: ({ admin, username, read, patience }) => {
      const { lockName } = alternatingUsers(strategy, username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const { current, pending } = await read();
        const { other, others } = await accountsOf(session, admin, current);
        const open = others.filter(({ locked }) => !locked);
        if (open.length === 0) return 'nothing-to-retire';
        if (pending?.username === other && open.some((account) => hasPassword(account, pending))) {
          throw unfinished(username);
        }
        await lockUnused(session, dialect, { admin, username: other, accounts: open }, patience);
        return 'retired';
      });
    },

    undo: ({ admin, current, abandoned }) => {
      const { lockName } = alternatingUsers(strategy, current.username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const { other, others } = await accountsOf(session, admin, current);
        const open = others.filter(({ locked }) => !locked);
        const isSet = abandoned.username === other && open.some((account) => hasPassword(account, abandoned));
        if (!isSet) return 'nothing-to-undo';
        await lockUnused(session, dialect, { admin, username: other, accounts: open });
        return 'undone';
      });
    },
  };
}

async function lockUnused(
  session: MysqlSession,
  dialect: MysqlDialect,
  change: Change,
  patience = 0,
): Promise<void> {
  const sessions = await mysqlSessions(session, change.username, patience);
  if (sessions) throw stillConnected(change.username, sessions);
  await dialect.lock(session, change);
}

async function openOther(
  session: MysqlSession,
  dialect: MysqlDialect,
  accounts: readonly Account[],
  { admin, current, pending, previous }: Omit<SetRequest, 'current'> & { current: Login },
): Promise<SetOutcome> {
  const { username, password } = pending;
  if (accounts.length === 0) {
    throw new RotationRefused(
      `There is no user ${username} to alternate with ${current.username}. Create it on the same hosts, locked ` +
        `(CREATE USER … ACCOUNT LOCK), and give it the rights of ${current.username}, best by a role that both have as their default role.`,
    );
  }
  const open = accounts.filter(({ locked }) => !locked);
  if (open.length > 0) {
    if (accounts.every((account) => !account.locked && hasPassword(account, pending))) return 'was-set';
    const before = await previous();
    if (before?.username !== username || open.some((account) => hasPassword(account, before))) {
      throw unretired(current.username, `${username}, the user before ${current.username}, is not locked`);
    }
    // Neither the last nor the pending password: a rotation that was abandoned left one that nobody knows.
  }
  await dialect.openWith(session, { admin, username, accounts, next: password });
  return open.length > 0 ? 'healed' : 'set';
}

function hasPassword({ hashes }: Account, { password }: Login): boolean {
  return hashes.some((hash) => isHashOf(password, hash) === true);
}
