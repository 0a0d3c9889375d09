import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { RotationRefused } from '../contract/errors.ts';
import type { CredentialRotation, Strategy } from '../contract/rotation.ts';
import { accountName, alterAccounts, readAccounts } from '../mysql-and-mariadb/accounts.ts';
import type { Account, Change, MysqlDialect } from '../mysql-and-mariadb/dialect.ts';
import { rowsIfReadable, sumByAddress } from '../mysql-and-mariadb/logins.ts';
import { isHashOf } from '../mysql-and-mariadb/password-hash.ts';
import { mysqlFamilyRotation } from '../mysql-and-mariadb/rotation.ts';
import type { MysqlSession } from '../mysql-and-mariadb/session.ts';

/**
 * Rotation on MySQL and Aurora MySQL. `RETAIN CURRENT PASSWORD` keeps the password in use as the account's secondary
 * one, `DISCARD OLD PASSWORD` drops that.
 */
export function mysqlRotation(address: DatabaseAddress, strategy: Strategy): CredentialRotation {
  return mysqlFamilyRotation(address, strategy, mysqlDialect(strategy.kind === 'dual-password'));
}

/** @param isDual whether an account's second password is looked at, which needs a privilege of its own */
export function mysqlDialect(isDual: boolean): MysqlDialect {
  return {
    ...MYSQL,
    accounts: (session, admin, usernames) => readMysqlAccounts(session, admin, usernames, isDual),
    ...(isDual && { secondPasswordLogins }),
    preflight: async (session, accounts) => [
      ...(isDual ? await whereHealingIsRefused(session, accounts) : []),
      ...(await whoMayBeRefused(session, accounts)),
    ],
  };
}

async function readMysqlAccounts(
  session: MysqlSession,
  admin: Login,
  usernames: readonly string[],
  withSecondary: boolean,
): Promise<Account[]> {
  const columns = ['User', 'Host', 'plugin', 'authentication_string', 'account_locked'];
  const secondary = "User_attributes->>'$.additional_password'";
  const rows = await readAccounts(session, admin, usernames, {
    statement: `SELECT User AS username, Host AS host, plugin, account_locked AS locked, authentication_string AS hash,
        ${withSecondary ? secondary : 'NULL'} AS secondary
      FROM mysql.user WHERE User IN (?) ORDER BY User, Host`,
    grant: `GRANT SELECT (${[...columns, ...(withSecondary ? ['User_attributes'] : [])].join(', ')}) ON mysql.user`,
    since: withSecondary ? 'MySQL 8.0.14' : 'MySQL 5.7.6',
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
}

/**
 * The errors with which a login ends that is refused: wrong or no password, no right to the database, password expired,
 * account locked, blocked after failed logins.
 */
const REFUSALS = [1044, 1045, 1698, 1862, 3118, 3955];

/** Those with which one ends whose password may be right: the user has as many connections as it may have. */
const LIMITS = [1203, 1226];

const MYSQL: Omit<MysqlDialect, 'accounts' | 'preflight'> = {
  // There is no count of refused logins alone: this one also has connections that broke off before the login.
  refusedLoginsStatus: 'Aborted_connects',

  loginCounts: async (session, rotator, usernames) => {
    // Those that have ended, before the refused ones: one that is only logging in is not taken for a login.
    const connections = await rowsIfReadable(
      session,
      `SELECT USER AS username, HOST AS host, TOTAL_CONNECTIONS - CURRENT_CONNECTIONS AS count FROM performance_schema.accounts
        WHERE USER IN (?) AND HOST IS NOT NULL`,
      [usernames],
    );
    const refused = await rowsIfReadable(
      session,
      `SELECT USER AS username, HOST AS host, SUM(SUM_ERROR_RAISED) AS count,
          SUM(IF(ERROR_NUMBER IN (${LIMITS.join(', ')}), 0, SUM_ERROR_RAISED)) AS refused
        FROM performance_schema.events_errors_summary_by_account_by_error
        WHERE HOST IS NOT NULL AND USER IS NOT NULL AND ERROR_NUMBER IN (${[...REFUSALS, ...LIMITS].join(', ')})
        GROUP BY USER, HOST HAVING count > 0`,
    );
    const grants = [
      ...(connections ? [] : [`GRANT SELECT ON performance_schema.accounts TO ${rotator}`]),
      ...(refused
        ? []
        : [`GRANT SELECT ON performance_schema.events_errors_summary_by_account_by_error TO ${rotator}`]),
    ];
    if (refused === undefined) return { grants };
    const refusals = refused.map(({ username, host, count }) => ({
      host: String(host),
      rest: String(username),
      count: Number(count),
    }));
    const refusedFrom = await sumByAddress(
      refused
        .map(({ host, refused }) => ({ host: String(host), count: Number(refused) }))
        .filter(({ count }) => count > 0),
    );
    if (connections === undefined) return { refusedFrom, grants };
    // The server counts connections that it refuses among those of the account. Open ones are seen as sessions.
    const logins = await sumByAddress([
      ...connections.map(({ username, host, count }) => ({
        host: String(host),
        rest: String(username),
        count: Number(count),
      })),
      ...refusals
        .filter(({ rest }) => usernames.includes(rest))
        .map(({ count, ...refusal }) => ({ ...refusal, count: -count })),
    ]);
    return { logins, refusedFrom, grants };
  },

  addPassword: async (session, { current, next, ...change }) => {
    await restore(session, change, current);
    await alterAccounts(session, {
      ...described(change),
      option: 'IDENTIFIED BY ? RETAIN CURRENT PASSWORD',
      values: [next],
    });
  },

  keepPassword: async (session, { current, ...change }) => {
    await restore(session, change, current);
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

  identifiedBy: (plugin = 'caching_sha2_password', password) => ({
    clause: `IDENTIFIED WITH ${plugin} BY '${password}'`,
    shown: `IDENTIFIED WITH ${plugin} BY 'anything, it is replaced'`,
  }),
  setDefaultRoles: (account, roles) => `SET DEFAULT ROLE ${roles.join(', ')} TO ${account}`,

  /**
   * ALTER USER empties the server's cache of what caching_sha2_password proved, for both passwords; a login with TLS
   * fills it again for the password it used. Until then clients that neither use TLS nor ask for the server's RSA key
   * are refused. So the current password logs in at once, by this connection; the new one does in testSecret.
   */
  keepLoggingIn: async (session, current, accounts) => {
    if (accounts.some((account) => isCached(account) && !account.locked)) await session.logInAs(current);
  },
};

/** The codes of `Second password was used for login by user`, of each plugin: native, SHA-256, caching SHA-2. */
const SECOND_PASSWORD_CODES = ['MY-013300', 'MY-013301', 'MY-013302'];

/** The server notes it in its error log, if that takes information too; since 8.0.22 SQL can read that. */
async function secondPasswordLogins(
  session: MysqlSession,
  usernames: readonly string[],
): ReturnType<NonNullable<MysqlDialect['secondPasswordLogins']>> {
  const [setting] = await session.query(
    `SELECT @@GLOBAL.log_error_verbosity AS verbosity, @@GLOBAL.log_error_suppression_list AS suppressed`,
  );
  if (Number(setting?.verbosity) < 3 || /SECOND_PASSWORD|0?1330[0-2]/.test(String(setting?.suppressed)))
    return undefined;
  const [uptime] = await session.query('SHOW GLOBAL STATUS LIKE ?', ['Uptime']);
  // At its start the server takes in what it wrote before that, of connections whose numbers are given anew since.
  const rows = await rowsIfReadable(
    session,
    `SELECT THREAD_ID AS number, DATA AS text FROM performance_schema.error_log
      WHERE ERROR_CODE IN (?) AND UNIX_TIMESTAMP(LOGGED) > UNIX_TIMESTAMP() - ? - 1`,
    [SECOND_PASSWORD_CODES, Number(uptime?.Value)],
  );
  if (rows === undefined) return undefined;
  const logins = rows.map(({ number, text }) => ({ number: Number(number), text: String(text) }));
  // Its buffer has room for so much, and the oldest entries go first.
  const [expired] = await session.query('SHOW GLOBAL STATUS LIKE ?', ['Error_log_expired_events']);
  const oldest = Math.min(...logins.map(({ number }) => number));
  return {
    numbers: new Set(
      logins
        .filter(({ text }) => usernames.some((name) => text.includes(`login by user: '${name}'@'`)))
        .map(({ number }) => number),
    ),
    forgottenTo: Number(expired?.Value) > 0 ? oldest : 0,
  };
}

/** MySQL's password history refuses a password that was used before: the current one too, where it is to be made valid again. */
async function whereHealingIsRefused(session: MysqlSession, accounts: readonly Account[]): Promise<string[]> {
  const [server] =
    (await rowsIfReadable(
      session,
      'SELECT @@GLOBAL.password_history AS entries, @@GLOBAL.password_reuse_interval AS days',
    )) ?? [];
  // Those of an account count before the server's; who may not read them knows the server's.
  const own = await rowsIfReadable(
    session,
    `SELECT Host AS host, Password_reuse_history AS entries, Password_reuse_time AS days FROM mysql.user
      WHERE User IN (?)`,
    [accounts.map(({ username }) => username)],
  );
  const kept = accounts.filter(({ host }) => {
    const account = own?.find((row) => row.host === host);
    return [account?.entries ?? server?.entries, account?.days ?? server?.days].some(
      (limit) => Number(limit) > 0,
    );
  });
  if (kept.length === 0) return [];
  const names = kept.map(({ username, host }) => `${accountName(username)}@'${host}'`).join(', ');
  return [
    `The server keeps a history of the passwords of ${names}: a rotation that is given up halfway could not be put right, for that makes the current password valid again (error 3638). ` +
      `ALTER USER ${names} PASSWORD HISTORY 0 PASSWORD REUSE INTERVAL 0 DAY.`,
  ];
}

async function whoMayBeRefused(session: MysqlSession, accounts: readonly Account[]): Promise<string[]> {
  const hosts = accounts.filter(isCached).map(({ username, host }) => `${username}@${host}`);
  // That of the only account is filled by our own logins.
  if (hosts.length < 2) return [];
  const [row] = await session.query('SELECT @@GLOBAL.require_secure_transport AS required');
  if (Number(row?.required) === 1) return [];
  return [
    `A change of password empties the server's cache for ${hosts.join(', ')} (caching_sha2_password), and the rotation's own logins fill it only for the account of its own address. ` +
      'Clients of the others that neither use TLS nor ask for the RSA key are refused until somebody logs in there with TLS, as after a restart of the server. ' +
      'Let them use TLS or ask for the key (allowPublicKeyRetrieval, --get-server-public-key).',
  ];
}

function isCached({ hashes }: Account): boolean {
  return hashes.some((hash) => hash.startsWith('$A$'));
}

/** Plugins that keep two passwords, whose hashes can be compared. */
const PLUGINS = new Set(['caching_sha2_password', 'sha256_password', 'mysql_native_password']);

/**
 * Makes the current password the primary one where it is not, since RETAIN and DISCARD keep the primary one. Without
 * RETAIN the secondary password stays as it is: if that was the current one, it stays valid throughout.
 */
async function restore(session: MysqlSession, change: Change, current: string): Promise<void> {
  const accounts = change.accounts.filter(({ hashes: [primary = ''] }) => !isHashOf(current, primary));
  if (accounts.length === 0) return;
  await alterAccounts(session, {
    ...described({ ...change, accounts }),
    option: 'IDENTIFIED BY ?',
    values: [current],
  });
}

function described({ admin, username, accounts }: Change) {
  const own = admin.username === username && accounts.length === 1;
  return {
    admin,
    username,
    hosts: accounts.map(({ host }) => host),
    grant: own ? 'GRANT APPLICATION_PASSWORD_ADMIN ON *.*' : 'GRANT CREATE USER ON *.*',
  };
}
