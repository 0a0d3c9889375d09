import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { StrategyMethods } from '../contract/rotation.ts';
import { currentRefused, oldPasswordUsed, unfinished, unretired } from '../rotation/refusals.ts';
import type { Account, MysqlDialect } from './dialect.ts';
import { hasPassword } from './dialect.ts';
import { secondPasswordUse } from './logins.ts';
import { isHashOf } from './password-hash.ts';
import { type MysqlSession, withMysqlLock } from './session.ts';

/** One user, two passwords. A third one would drop one of them, so nothing is done before the state is known. */
export function dualPasswordOn(address: DatabaseAddress, dialect: MysqlDialect): StrategyMethods {
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
        const unknown = tasks.filter(({ task }) => task === 'unknown').map(({ account }) => account);
        if (unknown.length > 0) throw currentRefused(current, unknown);
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

    retire: ({ admin, username, read, patience = 0 }) =>
      withAccounts(admin, username, async (session, accounts) => {
        const { current, pending } = await read();
        const others = accounts.filter((account) => !hasPassword(account, current));
        if (others.length > 0) throw currentRefused(current, others);
        const several = accounts.filter(({ hashes }) => hashes.length > 1);
        if (several.length === 0) return 'nothing-to-retire';
        // The pending one comes first when its rotation has set it, and second while one is being healed.
        const set = several.some(({ hashes: [first = ''] }) => pending && isHashOf(pending.password, first));
        if (set) throw unfinished(username);
        const isSecond = several.every(({ hashes: [first = ''] }) => isHashOf(current.password, first));
        const from = isSecond ? await secondPasswordUse(session, dialect, username, patience) : undefined;
        if (from && from.length > 0) throw oldPasswordUsed(username, from);
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
