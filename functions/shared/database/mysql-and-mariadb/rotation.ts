import type { DatabaseAddress } from '../contract/engine.ts';
import type { CredentialRotation, Strategy } from '../contract/rotation.ts';
import { alternatingUsersOn } from './alternating-users.ts';
import type { MysqlDialect } from './dialect.ts';
import { dualPasswordOn } from './dual-password.ts';
import { mysqlLogins, notedLogin } from './logins.ts';
import { proveUse } from './prove-use.ts';
import { mysqlSessions, mysqlStatus, withMysql } from './session.ts';

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
    test: async (login, model) =>
      proveUse(address, login, strategy.kind === 'alternating-users' ? await model?.() : undefined),
    sessions: (admin, username, patience) =>
      withMysql(address, admin, (session) => mysqlSessions(session, username, patience)),
    logins: (admin, question) =>
      withMysql(address, admin, async (session) => {
        const noted = await notedLogin(address, session, { admin, dialect, old: question.old });
        return mysqlLogins(session, dialect, admin.username, { ...question, noted });
      }),
    refusedLogins: (admin) => mysqlStatus(address, admin, dialect.refusedLoginsStatus),
    preflight: async (admin, { username }) => {
      const { preflight } = dialect;
      if (preflight === undefined) return [];
      return withMysql(address, admin, async (session) =>
        preflight(session, await dialect.accounts(session, admin, [username])),
      );
    },
  };
}
