import type { DatabaseAddress } from '../contract/engine.ts';
import { RotationRefused, StatementRefused } from '../contract/errors.ts';
import type { CredentialRotation, Strategy } from '../contract/rotation.ts';
import { type AccountChange, alterAccounts, readAccounts } from '../mysql-and-mariadb/accounts.ts';
import type { Account, Change, MysqlDialect } from '../mysql-and-mariadb/dialect.ts';
import { rowsIfReadable, sumByAddress } from '../mysql-and-mariadb/logins.ts';
import { nativePasswordHash } from '../mysql-and-mariadb/password-hash.ts';
import { mysqlFamilyRotation } from '../mysql-and-mariadb/rotation.ts';
import type { MysqlSession } from '../mysql-and-mariadb/session.ts';

/**
 * Rotation on MariaDB, which lets an account log in by one of several methods: two of the same kind are two
 * passwords. The server is sent hashes only: it writes clear passwords into its general and binary logs. Each statement
 * says the whole state of an account, so it may be repeated.
 */
export function mariadbRotation(address: DatabaseAddress, strategy: Strategy): CredentialRotation {
  return mysqlFamilyRotation(address, strategy, MARIADB);
}

export const MARIADB: MysqlDialect = {
  refusedLoginsStatus: 'Access_denied_errors',

  /** Only where performance_schema is on, as it is not by default. Logins that are refused are not among them. */
  loginCounts: async (session, rotator, usernames) => {
    const [setting] = await session.query('SELECT @@performance_schema AS isOn');
    if (Number(setting?.isOn) !== 1) return { grants: [] };
    const rows = await rowsIfReadable(
      session,
      `SELECT USER AS username, HOST AS host, TOTAL_CONNECTIONS AS count FROM performance_schema.accounts
        WHERE USER IN (?) AND HOST IS NOT NULL`,
      [usernames],
    );
    if (rows === undefined) return { grants: [`GRANT SELECT ON performance_schema.accounts TO ${rotator}`] };
    const logins = await sumByAddress(
      rows.map(({ username, host, count }) => ({
        host: String(host),
        rest: String(username),
        count: Number(count),
      })),
    );
    return { logins, grants: [] };
  },

  accounts: async (session, admin, usernames) => {
    const rows = await readAccounts(session, admin, usernames, {
      // As text: the driver would parse the JSON type by itself on some versions and not on others.
      statement: `SELECT User AS username, Host AS host, CAST(Priv AS CHAR) AS privileges
        FROM mysql.global_priv WHERE User IN (?) ORDER BY User, Host`,
      grant: 'GRANT SELECT ON mysql.global_priv',
      since: 'MariaDB 10.4',
    });
    return rows.map(({ username, host, privileges }): Account => {
      const parsed = JSON.parse(String(privileges)) as Privileges;
      return {
        username: String(username),
        host: String(host),
        locked: parsed.account_locked === true,
        hashes: methodsOf(parsed).map(({ plugin, authentication_string = '' }) => {
          if ((plugin || NATIVE) === NATIVE) return authentication_string;
          throw new RotationRefused(
            `${username}@${host} may log in by ${plugin}, which common drivers cannot do beside a second password. ` +
              `Change the account to ${NATIVE} alone.`,
          );
        }),
      };
    });
  },

  addPassword: (session, { current, next, ...change }) =>
    alter(session, change, identifiedBy(nativePasswordHash(next), nativePasswordHash(current))),
  keepPassword: (session, { current, ...change }) =>
    alter(session, change, identifiedBy(nativePasswordHash(current))),
  openWith: (session, { next, ...change }) =>
    alter(session, change, { ...identifiedBy(nativePasswordHash(next)), suffix: 'ACCOUNT UNLOCK' }),
  lock: (session, change) => alter(session, change, { option: '', suffix: 'ACCOUNT LOCK' }),

  identifiedBy: (_, password) => ({
    clause: `IDENTIFIED VIA ${NATIVE} USING '${nativePasswordHash(password)}'`,
    shown: "IDENTIFIED BY 'anything, it is replaced'",
  }),
  setDefaultRoles: (account, [role]) => `SET DEFAULT ROLE ${role} FOR ${account}`,

  preflight: async (session) => {
    const plugin = await strictPlugin(session);
    if (plugin !== undefined) throw takesNoHashes(plugin);
    return [];
  },
};

const NATIVE = 'mysql_native_password';

/** The part that is used of the JSON in `mysql.global_priv`. */
interface Privileges extends Method {
  auth_or?: Method[];
  account_locked?: boolean;
}

interface Method {
  plugin?: string;
  authentication_string?: string;
}

/** An empty method among several stands for the one outside. */
function methodsOf({ auth_or = [{}], ...outer }: Privileges): Method[] {
  return auth_or.map((method) => (method.plugin === undefined ? outer : method));
}

function identifiedBy(...hashes: string[]): { option: string; values: string[] } {
  return { option: `IDENTIFIED VIA ${hashes.map(() => `${NATIVE} USING ?`).join(' OR ')}`, values: hashes };
}

async function alter(
  session: MysqlSession,
  { admin, username, accounts }: Change,
  change: Pick<AccountChange, 'option' | 'values' | 'suffix'>,
): Promise<void> {
  // The own account needs the right too.
  const grant = 'GRANT CREATE USER ON *.*';
  try {
    const hosts = accounts.map(({ host }) => host);
    await alterAccounts(session, { ...change, admin, username, hosts, grant });
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.code !== 'ER_CANNOT_USER') throw error;
    const plugin = await strictPlugin(session);
    throw plugin === undefined ? error : takesNoHashes(plugin);
  }
}

/** The name of a plugin that has the server refuse hashes. */
async function strictPlugin(session: MysqlSession): Promise<string | undefined> {
  const [plugin] = await session.query(
    `SELECT PLUGIN_NAME AS name FROM information_schema.PLUGINS
      WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND PLUGIN_STATUS = 'ACTIVE' AND @@GLOBAL.strict_password_validation`,
  );
  return plugin && String(plugin.name);
}

function takesNoHashes(plugin: string): RotationRefused {
  return new RotationRefused(
    `The server's plugin ${plugin} validates passwords and therefore takes no hashes, and a clear password would be written into the server's logs. ` +
      'Set strict_password_validation to OFF (hashes are then taken unchecked), or remove the plugin.',
  );
}
