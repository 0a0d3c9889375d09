import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { missingPrivilege, RotationRefused, StatementRefused } from '../contract/errors.ts';
import { currentRefused } from '../rotation/refusals.ts';
import { alternatingUsers } from '../rotation/strategies.ts';
import { INSUFFICIENT_PRIVILEGE } from './errors.ts';
import { scramVerifier } from './scram.ts';
import { type PostgresSession, postgresAccepts, withPostgresLock } from './session.ts';

/** What is to become of a PostgreSQL database whose application has one user. */
export interface Migration {
  /** The user that there is, with its password, which stays valid. */
  current: Login;
  /** The role to make: it owns everything, and both users act as it. */
  owner: string;
  /** Both users. @default the current one and the same with `_clone` after it */
  users?: readonly [string, string];
  /** The role that will change the passwords: it is given that right, which from PostgreSQL 16 on is one by one. */
  rotator?: string;
}

/**
 * Makes two users and an owner of one user, in one transaction: the user's role is renamed, so that it keeps all
 * that it owns and may do in every database, and becomes the owner; a new role takes its name and password; the second
 * user may not log in until a rotation gives it a password. Sessions go on, and logins do not fail.
 *
 * It must be run by a superuser, or by a role that may create roles and administer the user's. Repeats safely.
 *
 * @throws RotationRefused, RotationBusy, MissingPrivilege, StatementRefused, LoginRefused, DatabaseUnreachable
 */
export async function migrateToAlternatingUsers(
  address: DatabaseAddress,
  admin: Login,
  migration: Migration,
): Promise<'migrated' | 'was-migrated'> {
  const { current, owner } = migration;
  const { other, lockName } = alternatingUsers(migration, current.username);
  if (admin.username === current.username || admin.username === other) {
    throw new RotationRefused(
      `${admin.username} cannot change itself. Let another one do it, and give the application a user of its own if it logs in as the administrator.`,
    );
  }
  return withPostgresLock(address, admin, lockName, async (session) => {
    if (await isMigrated(session, owner, [current.username, other])) return 'was-migrated';
    const settings = await settingsOf(session, current.username);
    // It would be given the secret's password, be that right or not.
    if (!(await postgresAccepts(address, current))) throw currentRefused(current);
    await session.query('BEGIN');
    try {
      await makeUsers(session, migration, { admin, other, settings });
    } catch (error) {
      if (!(error instanceof StatementRefused) || error.code !== INSUFFICIENT_PRIVILEGE) throw error;
      throw missingPrivilege(
        admin.username,
        `make two users of ${current.username}`,
        `ALTER ROLE ${pg.escapeIdentifier(admin.username)} CREATEROLE, and from PostgreSQL 16 on also ` +
          `GRANT ${pg.escapeIdentifier(current.username)} TO ${pg.escapeIdentifier(admin.username)} WITH ADMIN TRUE. Nothing was changed.`,
      );
    }
    await session.query('COMMIT');
    return 'migrated';
  });
}

async function makeUsers(
  session: PostgresSession,
  { current, owner, rotator }: Migration,
  { admin, other, settings }: { admin: Login; other: string; settings: RoleSettings },
): Promise<void> {
  const ownerName = pg.escapeIdentifier(owner);
  await session.query(`ALTER ROLE ${pg.escapeIdentifier(current.username)} RENAME TO ${ownerName}`);
  await session.query(`ALTER ROLE ${ownerName} NOLOGIN`);
  for (const username of [current.username, other]) {
    const name = pg.escapeIdentifier(username);
    const login =
      username === current.username
        ? `LOGIN PASSWORD ${pg.escapeLiteral(scramVerifier(current.password))}`
        : 'NOLOGIN';
    await session.query(`CREATE ROLE ${name} ${login} CONNECTION LIMIT ${settings.connectionLimit}`);
    await session.query(`GRANT ${ownerName} TO ${name}`);
    await copySettings(session, username, settings.parameters);
    await session.query(`ALTER ROLE ${name} SET role = ${pg.escapeLiteral(owner)}`);
    // Who makes a role administers it, and the server refuses to give oneself that right again.
    if (rotator !== undefined && rotator !== admin.username && settings.version >= ROLE_ADMIN_VERSION) {
      await session.query(
        `GRANT ${name} TO ${pg.escapeIdentifier(rotator)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`,
      );
    }
  }
}

/** From PostgreSQL 16 on, CREATEROLE reaches only roles that one administers. */
const ROLE_ADMIN_VERSION = 160_000;

async function isMigrated(
  session: PostgresSession,
  owner: string,
  users: readonly string[],
): Promise<boolean> {
  const rows = await session.query('SELECT rolname AS name FROM pg_roles WHERE rolname = ANY ($1)', [
    [owner, ...users],
  ]);
  const names = rows.map(({ name }) => String(name));
  const present = [owner, ...users.slice(1)].filter((name) => names.includes(name));
  if (!names.includes(users[0] ?? '')) {
    throw new RotationRefused(`There is no user ${users[0]} in the database. Correct the secret.`);
  }
  if (present.length === 0) return false;
  const [row] = await session.query(
    `SELECT count(*) AS count FROM pg_auth_members
      WHERE roleid = to_regrole($1) AND member IN (SELECT oid FROM pg_roles WHERE rolname = ANY ($2))`,
    [pg.escapeIdentifier(owner), users],
  );
  if (Number(row?.count) === users.length) return true;
  throw new RotationRefused(
    `There is a role ${present.join(' and ')} already that is not of such a migration. Drop it, or choose another name.`,
  );
}

interface RoleSettings {
  /** As `server_version_num`. */
  version: number;
  connectionLimit: number;
  parameters: { database: string | undefined; name: string; value: string }[];
}

/** What belongs to the role that logs in and would stay behind with the renamed one. */
async function settingsOf(session: PostgresSession, username: string): Promise<RoleSettings> {
  const [role] = await session.query(
    `SELECT rolconnlimit AS "limit", current_setting('server_version_num')::int AS version
       FROM pg_roles WHERE rolname = $1`,
    [username],
  );
  const parameters = await session.query(
    `SELECT d.datname AS database, split_part(entry, '=', 1) AS name, substr(entry, strpos(entry, '=') + 1) AS value
       FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS entry
       LEFT JOIN pg_database d ON d.oid = s.setdatabase
      WHERE s.setrole = to_regrole($1) ORDER BY s.setdatabase`,
    [pg.escapeIdentifier(username)],
  );
  // "$user" means the role acted as: the owner. A schema named after the user must be found as before.
  const [own] = await session.query(
    `SELECT current_database() AS database, current_setting('search_path') AS path
       FROM pg_namespace WHERE nspname = $1`,
    [username],
  );
  const entries = parameters.map(({ database, name, value }) => ({
    database: typeof database === 'string' ? database : undefined,
    name: String(name),
    value: String(value),
  }));
  if (own !== undefined && !entries.some(({ name }) => name === 'search_path')) {
    entries.push({ database: String(own.database), name: 'search_path', value: String(own.path) });
  }
  return {
    version: Number(role?.version),
    connectionLimit: Number(role?.limit),
    parameters: entries.map((entry) =>
      entry.name === 'search_path'
        ? { ...entry, value: entry.value.replaceAll('"$user"', pg.escapeIdentifier(username)) }
        : entry,
    ),
  };
}

async function copySettings(
  session: PostgresSession,
  username: string,
  parameters: RoleSettings['parameters'],
): Promise<void> {
  for (const { database, name, value } of parameters) {
    // By the session's own setting: a list such as search_path cannot be written as a literal.
    await session.query('SELECT set_config($1, $2, true)', [name, value]);
    const scope = database === undefined ? '' : `IN DATABASE ${pg.escapeIdentifier(database)} `;
    await session.query(
      `ALTER ROLE ${pg.escapeIdentifier(username)} ${scope}SET ${pg.escapeIdentifier(name)} FROM CURRENT`,
    );
  }
}
