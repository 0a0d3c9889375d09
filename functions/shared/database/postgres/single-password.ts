import pg from 'pg';
import type { DatabaseAddress } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { StrategyMethods } from '../contract/rotation.ts';
import { alterRole } from './roles.ts';
import { scramVerifier } from './scram.ts';
import { withPostgresLock } from './session.ts';

/** One user with one password: what still has the old one cannot log in until it is restarted. */
export function singlePassword(address: DatabaseAddress, user: string): StrategyMethods {
  return {
    nextUsername: (current) => {
      if (current === user) return user;
      throw new RotationRefused(
        `The secret's user is ${current}; configured is ${user}. Correct the one or the other.`,
      );
    },
    set: ({ admin, pending, current }) =>
      withPostgresLock(address, admin, user, async (session) => {
        if ((await current()) === undefined) return 'was-finished';
        const verifier = pg.escapeLiteral(scramVerifier(pending.password));
        await alterRole(session, admin, user, `PASSWORD ${verifier}`);
        return 'set';
      }),
    retained: async () => false,
    retire: async () => 'nothing-to-retire',
    undo: async () => 'nothing-to-undo',
  };
}
