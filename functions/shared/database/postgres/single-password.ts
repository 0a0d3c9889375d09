import type { DatabaseAddress } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { PasswordForm, StrategyMethods } from '../contract/rotation.ts';
import { alterRole, canLogIn } from './roles.ts';
import { withPostgresLock } from './session.ts';
import { passwordClause } from './stored-password.ts';

/** One user with one password: what still has the old one cannot log in until it is restarted. */
export function singlePassword(
  address: DatabaseAddress,
  { user, storeAs }: { user: string; storeAs?: PasswordForm },
): StrategyMethods {
  return {
    nextUsername: (current) => {
      if (current === user) return user;
      throw new RotationRefused(
        `The secret's user is ${current}; configured is ${user}. Correct the one or the other.`,
      );
    },
    set: ({ admin, pending, current }) =>
      withPostgresLock(address, admin, user, async (session) => {
        const before = await current();
        if (before === undefined) return 'was-finished';
        if ((await canLogIn(session, user)) === undefined) {
          throw new RotationRefused(
            `There is no user ${user} in the database. Create it, or correct the secret.`,
          );
        }
        await alterRole(
          session,
          admin,
          user,
          await passwordClause(address, session, pending, [before, pending], storeAs),
        );
        return 'set';
      }),
    retained: async () => false,
    retire: async () => 'nothing-to-retire',
    undo: async () => 'nothing-to-undo',
  };
}
