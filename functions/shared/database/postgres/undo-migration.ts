import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { Migration, OpenedBoth } from '../contract/migration.ts';
import { randomPassword } from '../credential/password.ts';
import { currentRefused } from '../rotation/refusals.ts';
import { alternatingUsers } from '../rotation/strategies.ts';
import { alterRole, canLogIn } from './roles.ts';
import { postgresAccepts, withPostgresLock } from './session.ts';
import { passwordClause } from './stored-password.ts';

/**
 * Opens the user whose turn it is not, as functions need it that set a password and give nobody the right to log in: with a
 * new password that nobody knows. All else stays as it is.
 *
 * @throws RotationRefused, RotationBusy, MissingPrivilege, StatementRefused, LoginRefused, DatabaseUnreachable
 */
export async function openBothUsers(
  address: DatabaseAddress,
  admin: Login,
  { current, users }: Pick<Migration, 'current' | 'users'>,
): Promise<OpenedBoth> {
  const { other, lockName } = alternatingUsers(address.engine, { ...(users && { users }) }, current.username);
  return withPostgresLock(address, admin, lockName, async (session) => {
    if (!(await postgresAccepts(address, current))) throw currentRefused(current);
    const open = await canLogIn(session, other);
    if (open === undefined) {
      throw new RotationRefused(
        `There is no user ${other} beside ${current.username}: nothing is to be undone.`,
      );
    }
    if (open) return { outcome: 'was-open', other };
    const next = { username: other, password: randomPassword() };
    await alterRole(
      session,
      admin,
      other,
      `LOGIN ${await passwordClause(address, session, next, [current])}`,
    );
    return { outcome: 'opened', other };
  });
}
