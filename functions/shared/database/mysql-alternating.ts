import { RotationRefused } from './errors.ts';
import { type AccountChange, type MysqlSession, mysqlAccepts, withMysqlLock } from './mysql-session.ts';
import {
  alternatingUsers,
  type CredentialRotation,
  currentRefused,
  type DatabaseAddress,
  type SetOutcome,
  type SetRequest,
  unfinished,
  unretired,
} from './rotation.ts';
import type { Login } from './secret.ts';

/** What of `alternating-users` differs between MySQL and MariaDB. */
export interface AlternatingDialect<Account extends LockableAccount> {
  /** The accounts of a user: none if there is no such user. */
  accounts(session: MysqlSession, admin: Login, username: string): Promise<Account[]>;
  /** Whether a login is valid for its accounts, which are not locked. */
  accepts(login: Login, accounts: readonly Account[]): Promise<boolean>;
  /** How `ALTER USER` is told a password. */
  identifiedBy(password: string): { option: string; values: unknown[] };
  alter(session: MysqlSession, change: AccountChange): Promise<void>;
}

export interface LockableAccount {
  host: string;
  locked: boolean;
}

/**
 * Two users by turns. The one not in use is locked: that is how a retired credential is told from one that
 * containers may still have.
 */
export function mysqlAlternating<Account extends LockableAccount>(
  address: DatabaseAddress,
  strategy: { users?: readonly [string, string] },
  dialect: AlternatingDialect<Account>,
): Pick<CredentialRotation, 'nextUsername' | 'set' | 'retained' | 'retire'> {
  return {
    nextUsername: (current) => alternatingUsers(strategy, current).other,

    set: ({ admin, current, pending, previous }) => {
      const { lockName } = alternatingUsers(strategy, current.username);
      return withMysqlLock(address, admin, lockName, (session) =>
        setSecond(session, dialect, { admin, current, pending, previous }),
      );
    },

    retained: (admin, current) => {
      const { other, lockName } = alternatingUsers(strategy, current.username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const accounts = await dialect.accounts(session, admin, other);
        return accounts.some(({ locked }) => !locked);
      });
    },

    retire: ({ admin, read, username }) => {
      const { lockName } = alternatingUsers(strategy, username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const { current, pending } = await read();
        const { other } = alternatingUsers(strategy, current.username);
        const open = (await dialect.accounts(session, admin, other)).filter(({ locked }) => !locked);
        if (open.length === 0) return 'nothing-to-retire';
        if (pending?.username === other && (await dialect.accepts(pending, open))) throw unfinished(username);
        if (!(await mysqlAccepts(address, current))) throw currentRefused(current);
        await dialect.alter(session, changeOf(admin, other, open, { option: '', suffix: 'ACCOUNT LOCK' }));
        return 'retired';
      });
    },
  };
}

async function setSecond<Account extends LockableAccount>(
  session: MysqlSession,
  dialect: AlternatingDialect<Account>,
  { admin, current, pending, previous }: SetRequest,
): Promise<SetOutcome> {
  const { username, password } = pending;
  const accounts = await dialect.accounts(session, admin, username);
  if (accounts.length === 0) {
    throw new RotationRefused(
      `There is no user ${username} to alternate with ${current.username}. Create it on the same hosts, locked ` +
        `(CREATE USER … ACCOUNT LOCK), and give it the rights of ${current.username}, best by a role that both have as their default role.`,
    );
  }
  const open = accounts.filter(({ locked }) => !locked);
  if (open.length > 0) {
    if (open.length === accounts.length && (await dialect.accepts(pending, open))) return 'was-set';
    const before = await previous();
    if (before?.username !== username || (await dialect.accepts(before, open))) {
      throw unretired(current.username, `${username}, the user before ${current.username}, is not locked`);
    }
    // Neither the last nor the pending password: a rotation that was abandoned left one that nobody knows.
  }
  const change = { ...dialect.identifiedBy(password), suffix: 'ACCOUNT UNLOCK' };
  await dialect.alter(session, changeOf(admin, username, accounts, change));
  return open.length > 0 ? 'healed' : 'set';
}

function changeOf(
  admin: Login,
  username: string,
  accounts: readonly LockableAccount[],
  change: Pick<AccountChange, 'option' | 'values' | 'suffix'>,
): AccountChange {
  const hosts = accounts.map(({ host }) => host);
  return { ...change, admin, username, hosts, grant: `GRANT CREATE USER ON *.* TO ${admin.username}` };
}
