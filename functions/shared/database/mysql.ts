import { RotationRefused } from './errors.ts';
import { alterAccounts, readAccounts } from './mysql-session.ts';
import { type Account, type Change, type MysqlDialect, mysqlFamilyRotation } from './mysql-strategies.ts';
import { isHashOf } from './password-hash.ts';
import type { CredentialRotation, DatabaseAddress, Strategy } from './rotation.ts';

/**
 * Rotation on MySQL and Aurora MySQL. `RETAIN CURRENT PASSWORD` keeps the password in use as the account's secondary
 * one, `DISCARD OLD PASSWORD` drops that.
 */
export function mysqlRotation(address: DatabaseAddress, strategy: Strategy): CredentialRotation {
  return mysqlFamilyRotation(address, strategy, MYSQL);
}

const MYSQL: MysqlDialect = {
  // There is no count of refused logins alone: this one also has connections that broke off before the login.
  refusedLoginsStatus: 'Aborted_connects',

  accounts: async (session, admin, usernames) => {
    const columns = ['User', 'Host', 'plugin', 'authentication_string', 'User_attributes', 'account_locked'];
    const rows = await readAccounts(session, admin, usernames, {
      statement: `SELECT User AS username, Host AS host, plugin, account_locked AS locked, authentication_string AS hash,
          User_attributes->>'$.additional_password' AS secondary
        FROM mysql.user WHERE User IN (?) ORDER BY User, Host`,
      grant: `GRANT SELECT (${columns.join(', ')}) ON mysql.user TO ${admin.username}`,
    });
    return rows.map(({ username, host, plugin, locked, hash, secondary }): Account => {
      if (!PLUGINS.has(String(plugin))) {
        throw new RotationRefused(
          `${username}@${host} logs in by ${plugin}, which is not rotated. Change the account to caching_sha2_password.`,
        );
      }
      return {
        username: String(username),
        host: String(host),
        locked: locked === 'Y',
        hashes: [hash, secondary].filter((entry) => typeof entry === 'string'),
      };
    });
  },

  addPassword: async (session, { current, next, ...change }) => {
    // RETAIN keeps the primary password, so that must be the current one. What else is secondary stays until then.
    const lost = change.accounts.filter(({ hashes: [first = ''] }) => !isHashOf(current, first));
    if (lost.length > 0) {
      await alterAccounts(session, {
        ...described({ ...change, accounts: lost }),
        option: 'IDENTIFIED BY ?',
        values: [current],
      });
    }
    await alterAccounts(session, {
      ...described(change),
      option: 'IDENTIFIED BY ? RETAIN CURRENT PASSWORD',
      values: [next],
    });
  },

  keepPassword: async (session, { current, ...change }) => {
    const lost = change.accounts.filter(({ hashes: [first = ''] }) => !isHashOf(current, first));
    if (lost.length > 0) {
      await alterAccounts(session, {
        ...described({ ...change, accounts: lost }),
        option: 'IDENTIFIED BY ?',
        values: [current],
      });
    }
    await alterAccounts(session, { ...described(change), option: 'DISCARD OLD PASSWORD' });
  },

  openWith: (session, { next, ...change }) =>
    alterAccounts(session, {
      ...described(change),
      option: 'IDENTIFIED BY ?',
      values: [next],
      suffix: 'ACCOUNT UNLOCK',
    }),

  lock: (session, change) =>
    alterAccounts(session, { ...described(change), option: '', suffix: 'ACCOUNT LOCK' }),
};

/** Plugins that keep two passwords, whose hashes can be compared. */
const PLUGINS = new Set(['caching_sha2_password', 'sha256_password', 'mysql_native_password']);

function described({ admin, username, accounts }: Change) {
  const own = admin.username === username && accounts.length === 1;
  return {
    admin,
    username,
    hosts: accounts.map(({ host }) => host),
    grant: own
      ? `GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO ${username}`
      : `GRANT CREATE USER ON *.* TO ${admin.username}`,
  };
}
