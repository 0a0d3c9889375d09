import { RotationRefused, StatementRefused } from './errors.ts';
import { mysqlAlternating } from './mysql-alternating.ts';
import {
  type AccountChange,
  alterAccounts,
  type MysqlSession,
  mysqlSessions,
  mysqlStatus,
  proveMysqlLogin,
  readAccounts,
  withMysqlLock,
} from './mysql-session.ts';
import { nativePasswordHash } from './password-hash.ts';
import {
  type CredentialRotation,
  currentRefused,
  type DatabaseAddress,
  type SetOutcome,
  type SetRequest,
  type Strategy,
  unfinished,
  unretired,
} from './rotation.ts';
import type { Login } from './secret.ts';

/**
 * Rotation on MariaDB. The server is sent hashes only: it writes clear passwords into its general and binary logs.
 * It keeps them unsalted, so that the state of an account is known by comparing, without a login.
 */
export function mariadbRotation(address: DatabaseAddress, strategy: Strategy): CredentialRotation {
  return {
    ...(strategy.kind === 'alternating-users'
      ? mysqlAlternating(address, strategy, {
          accounts: accountsOf,
          accepts: async ({ password }, accounts) =>
            accounts.every(({ hashes }) => hashes.includes(nativePasswordHash(password))),
          identifiedBy: (password) => identifiedBy(nativePasswordHash(password)),
          alter,
        })
      : dualPassword(address)),
    test: (login) => proveMysqlLogin(address, login),
    sessions: (admin, username) => mysqlSessions(address, admin, username),
    refusedLogins: (admin) => mysqlStatus(address, admin, 'Access_denied_errors'),
  };
}

/** One user with two hashes, of which either logs in. The statement says the whole state, so it may be repeated. */
function dualPassword(
  address: DatabaseAddress,
): Pick<CredentialRotation, 'nextUsername' | 'set' | 'retained' | 'retire'> {
  return {
    nextUsername: (current) => current,

    set: ({ admin, current, pending }) =>
      withMysqlLock(address, admin, current.username, (session) =>
        setDual(session, { admin, current, pending }),
      ),

    retained: (admin, current) =>
      withMysqlLock(address, admin, current.username, async (session) => {
        const accounts = await existingAccounts(session, admin, current.username);
        return accounts.some(({ hashes }) => hashes.length > 1);
      }),

    retire: ({ admin, username, read }) =>
      withMysqlLock(address, admin, username, async (session) => {
        const { current, pending } = await read();
        const kept = nativePasswordHash(current.password);
        const accounts = await existingAccounts(session, admin, username);
        if (!accounts.every(({ hashes }) => hashes.includes(kept))) throw currentRefused(current);
        const several = accounts.filter(({ hashes }) => hashes.length > 1);
        if (several.length === 0) return 'nothing-to-retire';
        // The one in use is not the first: a rotation has put its own before it.
        if (pending !== undefined && several.some(({ hashes }) => hashes[0] !== kept)) {
          throw unfinished(username);
        }
        await alter(session, changeOf(admin, username, several, kept));
        return 'retired';
      }),
  };
}

async function setDual(
  session: MysqlSession,
  { admin, current, pending }: Omit<SetRequest, 'previous'>,
): Promise<SetOutcome> {
  const { username } = current;
  const accounts = await existingAccounts(session, admin, username);
  const old = nativePasswordHash(current.password);
  const next = nativePasswordHash(pending.password);
  let healing = false;
  for (const { hashes } of accounts) {
    const foreign = hashes.filter((hash) => hash !== old && hash !== next);
    if (!hashes.includes(old) && !hashes.includes(next)) throw currentRefused(current);
    // A rotation that was abandoned has left its lost password before the one in use; after it is one in use.
    if (foreign.length > 0 && !(hashes.length === 2 && hashes[1] === old)) {
      throw unretired(username, `${username} still has the old password of an earlier rotation`);
    }
    if (foreign.length > 0 || !hashes.includes(old)) healing = true;
  }
  const unset = accounts.filter(({ hashes }) => hashes[0] !== next || hashes[1] !== old);
  if (unset.length === 0) return 'was-set';
  await alter(session, changeOf(admin, username, unset, next, old));
  return healing ? 'healed' : 'set';
}

interface MariadbAccount {
  host: string;
  locked: boolean;
  /** Of the passwords that log in, in the server's order. */
  hashes: string[];
}

async function existingAccounts(session: MysqlSession, admin: Login, username: string) {
  const accounts = await accountsOf(session, admin, username);
  if (accounts.length > 0) return accounts;
  throw new RotationRefused(
    `There is no user ${username} in the database. Create it, or correct the secret.`,
  );
}

async function accountsOf(session: MysqlSession, admin: Login, username: string): Promise<MariadbAccount[]> {
  const rows = await readAccounts(session, admin, username, {
    // As text: the driver would parse the JSON type by itself on some versions and not on others.
    statement:
      'SELECT Host AS host, CAST(Priv AS CHAR) AS privileges FROM mysql.global_priv WHERE User = ? ORDER BY Host',
    grant: `GRANT SELECT ON mysql.global_priv TO ${admin.username}`,
  });
  return rows.map((row) => {
    const host = String(row.host);
    const privileges = JSON.parse(String(row.privileges)) as Privileges;
    const { plugin, authentication_string } = privileges;
    // An empty method among several stands for the one outside.
    const methods = (privileges.auth_or ?? [{}]).map((method) =>
      method.plugin === undefined ? { plugin, authentication_string } : method,
    );
    return {
      host,
      locked: privileges.account_locked === true,
      hashes: methods.map((method) => {
        if ((method.plugin || NATIVE) === NATIVE) return (method.authentication_string ?? '').toUpperCase();
        throw new RotationRefused(
          `${username}@${host} may log in by ${method.plugin}, which common drivers cannot do beside a second password. ` +
            `Change the account to ${NATIVE} alone.`,
        );
      }),
    };
  });
}

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

function changeOf(
  admin: Login,
  username: string,
  accounts: readonly MariadbAccount[],
  ...hashes: string[]
): AccountChange {
  return {
    ...identifiedBy(...hashes),
    admin,
    username,
    hosts: accounts.map(({ host }) => host),
    // The own account needs it too.
    grant: `GRANT CREATE USER ON *.* TO ${admin.username}`,
  };
}

function identifiedBy(...hashes: string[]): { option: string; values: string[] } {
  return { option: `IDENTIFIED VIA ${hashes.map(() => `${NATIVE} USING ?`).join(' OR ')}`, values: hashes };
}

async function alter(session: MysqlSession, change: AccountChange): Promise<void> {
  try {
    await alterAccounts(session, change);
  } catch (error) {
    if (!(error instanceof StatementRefused) || error.code !== 'ER_CANNOT_USER') throw error;
    const [plugin] = await session.query(
      "SELECT PLUGIN_NAME AS name FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND PLUGIN_STATUS = 'ACTIVE'",
    );
    if (plugin === undefined) throw error;
    throw new RotationRefused(
      `The server's plugin ${plugin.name} validates passwords and therefore takes no hashes, and a clear password would be written into the server's logs. ` +
        'Set strict_password_validation to OFF (hashes are then taken unchecked), or remove the plugin.',
    );
  }
}
