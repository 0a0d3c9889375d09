import { type DatabaseAddress, ENGINES, type Login } from '../contract/engine.ts';
import { ConnectionRefused, RotationRefused } from '../contract/errors.ts';
import type { SetOutcome, SetRequest, StrategyMethods, TestedLogin } from '../contract/rotation.ts';
import {
  currentRefused,
  rotatedMeanwhile,
  stillConnected,
  unfinished,
  unretired,
} from '../rotation/refusals.ts';
import { alternatingUsers } from '../rotation/strategies.ts';
import { mayViewAccounts, statementsToMatch, viewAccount } from './account-view.ts';
import type { Account, Change, MysqlDialect } from './dialect.ts';
import { hasPassword } from './dialect.ts';
import { quoted } from './grants.ts';
import { mayMeet } from './hosts.ts';
import { proveUse } from './prove-use.ts';
import { type MysqlSession, mysqlSessions, seeSessions, withMysqlLock } from './session.ts';

/**
 * Two users by turns. The one not in use is locked: that is how a retired credential is told from one that
 * containers may still have.
 */
export function alternatingUsersOn(
  address: DatabaseAddress,
  strategy: { users?: readonly [string, string] },
  dialect: MysqlDialect,
): StrategyMethods {
  /**
   * The accounts of the user in use, proven to be the secret's, and of the other one: those that are opened by turns, and all.
   * What only one of them has on a host from which the other one lets nobody in stays closed.
   */
  const accountsOf = async (session: MysqlSession, admin: Login, current: Login) => {
    const { one, other } = alternatingUsers(address.engine, strategy, current.username);
    const accounts = await dialect.accounts(session, admin, [one, other]);
    const own = accounts.filter(({ username }) => username === one);
    const all = accounts.filter(({ username }) => username === other);
    const used = own.filter((account) => !(account.locked && isBeyond(account, all)));
    const unproven = used.filter((account) => account.locked || !hasPassword(account, current));
    if (used.length === 0 || unproven.length > 0) throw currentRefused(current, unproven);
    return { other, used, others: all.filter((account) => !isBeyond(account, used)), all };
  };

  return {
    nextUsername: (current) => alternatingUsers(address.engine, strategy, current).other,

    set: ({ admin, pending, current: read, previous }) => {
      const { lockName } = alternatingUsers(address.engine, strategy, pending.username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const current = await read();
        if (current === undefined) return 'was-finished';
        const { used, others } = await accountsOf(session, admin, current);
        return openOther(address, session, dialect, { used, others }, { admin, current, pending, previous });
      });
    },

    retained: (admin, current) => {
      const { lockName } = alternatingUsers(address.engine, strategy, current.username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const { all } = await accountsOf(session, admin, current);
        return all.some(({ locked }) => !locked);
      });
    },

    retire: ({ admin, username, read, patience }) => {
      const { lockName } = alternatingUsers(address.engine, strategy, username);
      return withMysqlLock(address, admin, lockName, async (session) => {
        const { current, pending } = await read();
        const { other, all } = await accountsOf(session, admin, current);
        const open = all.filter(({ locked }) => !locked);
        if (open.length === 0) return 'nothing-to-retire';
        if (pending?.username === other && open.some((account) => hasPassword(account, pending))) {
          throw unfinished(username);
        }
        await lockUnused(session, dialect, { admin, username: other, accounts: open }, patience, async () => {
          const now = await read();
          return now.current.username === current.username && now.pending?.password === pending?.password;
        });
        return 'retired';
      });
    },

    undo: ({ admin, current, abandoned }) => {
      const { lockName } = alternatingUsers(address.engine, strategy, current.username);
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

/** Whether an account is on a host from which none of the others lets anybody in. */
export function isBeyond({ host }: Account, others: readonly Account[]): boolean {
  return others.length > 0 && !others.some((other) => mayMeet(host, other.host));
}

async function lockUnused(
  session: MysqlSession,
  dialect: MysqlDialect,
  change: Change,
  patience = 0,
  isStillSo: () => Promise<boolean> = async () => true,
): Promise<void> {
  const sessions = await mysqlSessions(session, change.username, patience);
  if (sessions) {
    throw stillConnected(change.username, sessions, await seeSessions(session, change.username));
  }
  if (!(await isStillSo())) throw rotatedMeanwhile(change.username);
  await dialect.lock(session, change);
}

async function openOther(
  address: DatabaseAddress,
  session: MysqlSession,
  dialect: MysqlDialect,
  { used, others: accounts }: { used: readonly Account[]; others: readonly Account[] },
  { admin, current, pending, previous }: Omit<SetRequest, 'current'> & { current: TestedLogin },
): Promise<SetOutcome> {
  const { username, password } = pending;
  // From a host that only the one has, containers could not log in as the other.
  const missing = used.filter(({ host }) => !accounts.some((account) => account.host === host));
  if (missing.length > 0) {
    const hosts = missing.map(({ host }) => host).join(' and ');
    throw new RotationRefused(
      `There is no user ${username} on ${hosts} to alternate with ${current.username}. An administrator makes it, and gives it the rights of ${current.username} there: ` +
        `${missing.map(({ host }) => `CREATE USER ${quoted(username)}@${quoted(host)} IDENTIFIED BY 'anything, it is replaced' ACCOUNT LOCK`).join('; ')}. ` +
        'npx wa-upkeep migrate-to-alternating-users does it, with its rights.',
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
  const sees = await mayViewAccounts(session);
  if (sees) await refuseLacking(address, session, used, username);
  const change = { admin, username, accounts };
  await dialect.openWith(session, { ...change, next: password });
  if (!sees) await closeIfLacking(address, session, dialect, change, { current, pending });
  return open.length > 0 ? 'healed' : 'set';
}

/**
 * What an administrator does not see, sessions of the two tell, of the accounts that this function's address gets: so the other one is
 * opened for it, and closed again where it lacks something.
 */
async function closeIfLacking(
  address: DatabaseAddress,
  session: MysqlSession,
  dialect: MysqlDialect,
  change: Change,
  { current, pending }: { current: TestedLogin; pending: TestedLogin },
): Promise<void> {
  try {
    await proveUse(address, pending, current);
  } catch (error) {
    if (!(error instanceof RotationRefused || error instanceof ConnectionRefused)) throw error;
    await dialect.lock(session, change);
    throw error;
  }
}

async function refuseLacking(
  address: DatabaseAddress,
  session: MysqlSession,
  used: readonly Account[],
  other: string,
): Promise<void> {
  const engine = ENGINES[address.engine] === 'mariadb' ? 'mariadb' : 'mysql';
  const statements: string[] = [];
  for (const { username, host } of used) {
    const model = await viewAccount(session, username, host);
    const { account } = await viewAccount(session, other, host);
    statements.push(...statementsToMatch(account, model.account, engine, model.rightsWithoutRoles));
  }
  const [one] = used;
  if (statements.length === 0 || one === undefined) return;
  throw new RotationRefused(
    `${other} cannot do what ${one.username} can, so that containers would log in and fail. Nothing was changed. An administrator mends it: ${statements.join('; ')}`,
  );
}
