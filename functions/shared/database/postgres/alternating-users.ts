import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { PasswordForm, SetOutcome, SetRequest, StrategyMethods } from '../contract/rotation.ts';
import { countPatiently } from '../rotation/count-patiently.ts';
import {
  currentRefused,
  rotatedMeanwhile,
  stillConnected,
  unfinished,
  unretired,
} from '../rotation/refusals.ts';
import { alternatingUsers } from '../rotation/strategies.ts';
import { alterRole, canLogIn, countSessions, seeSessions } from './roles.ts';
import { type PostgresSession, postgresAccepts, withPostgres, withPostgresLock } from './session.ts';
import { passwordClause } from './stored-password.ts';

/**
 * Two users by turns, who act as one owner. The one not in use may not log in (NOLOGIN): that is how a retired
 * credential is told from one that containers may still have.
 */
export function alternating(
  address: DatabaseAddress,
  strategy: { users?: readonly [string, string]; owner?: string; storeAs?: PasswordForm },
): StrategyMethods {
  return {
    nextUsername: (current) => alternatingUsers(address.engine, strategy, current).other,

    set: ({ admin, pending, current: read, previous }) => {
      const { lockName } = alternatingUsers(address.engine, strategy, pending.username);
      return withPostgresLock(address, admin, lockName, async (session) => {
        const current = await read();
        if (current === undefined) return 'was-finished';
        return openOther(address, session, { admin, current, pending, previous, storeAs: strategy.storeAs });
      });
    },

    retained: (admin, current) =>
      withPostgres(address, admin, (session) =>
        canLogIn(session, alternatingUsers(address.engine, strategy, current.username).other),
      ).then((state) => state === true),

    retire: ({ admin, username, read, patience = 0 }) =>
      withPostgresLock(
        address,
        admin,
        alternatingUsers(address.engine, strategy, username).lockName,
        async (session) => {
          const { current, pending } = await read();
          const { other } = alternatingUsers(address.engine, strategy, current.username);
          if ((await canLogIn(session, other)) !== true) return 'nothing-to-retire';
          if (pending?.username === other && (await postgresAccepts(address, pending))) {
            throw unfinished(username);
          }
          const sessions = await countPatiently(() => countSessions(session, other), patience);
          if (sessions > 0) throw stillConnected(other, sessions, await seeSessions(session, other));
          if (!(await postgresAccepts(address, current))) throw currentRefused(current);
          const now = await read();
          if (now.current.username !== current.username || now.pending?.password !== pending?.password) {
            throw rotatedMeanwhile(username);
          }
          await alterRole(session, admin, other, 'NOLOGIN');
          return 'retired';
        },
      ),

    undo: ({ admin, current, abandoned }) => {
      const { other, lockName } = alternatingUsers(address.engine, strategy, current.username);
      return withPostgresLock(address, admin, lockName, async (session) => {
        if (abandoned.username !== other || (await canLogIn(session, other)) !== true)
          return 'nothing-to-undo';
        // Before our own login with it.
        const sessions = await countSessions(session, other);
        if (!(await postgresAccepts(address, abandoned))) return 'nothing-to-undo';
        if (sessions > 0) throw stillConnected(other, sessions, await seeSessions(session, other));
        await alterRole(session, admin, other, 'NOLOGIN');
        return 'undone';
      });
    },
  };
}

async function openOther(
  address: DatabaseAddress,
  session: PostgresSession,
  {
    admin,
    current,
    pending,
    previous,
    storeAs,
  }: Omit<SetRequest, 'current'> & { current: Login; storeAs: PasswordForm | undefined },
): Promise<SetOutcome> {
  const { username } = pending;
  const open = await canLogIn(session, username);
  if (open === undefined) {
    throw new RotationRefused(
      `There is no user ${username} to alternate with ${current.username}. Make it by npx wa-upkeep migrate-to-alternating-users, ` +
        `or create it with NOLOGIN, as a member of the owner's role that acts as that role.`,
    );
  }
  if (open) {
    if (await postgresAccepts(address, pending)) return 'was-set';
    const before = await previous();
    if (before?.username !== username || (await postgresAccepts(address, before))) {
      throw unretired(current.username, `${username}, the user before ${current.username}, may still log in`);
    }
    // Neither the last nor the pending password: a rotation that was abandoned left one that nobody knows.
  }
  await alterRole(
    session,
    admin,
    username,
    `LOGIN ${await passwordClause(address, session, pending, [current], storeAs)}`,
  );
  return open ? 'healed' : 'set';
}
