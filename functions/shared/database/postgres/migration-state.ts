import { RotationRefused } from '../contract/errors.ts';
import { type RoleSetting, readRoleSettings } from './role-settings.ts';
import type { PostgresSession } from './session.ts';

/** The comment on a second user that has not been compared with the first one yet. */
export const UNFINISHED =
  'Made by npx wa-upkeep migrate-to-alternating-users, which has not ended: run it again.';

/** A role, with what belongs to it alone. */
export interface Role {
  name: string;
  open: boolean;
  /** Made by a migration that was cut off before it had looked at what it had made. */
  unfinished: boolean;
  superuser: boolean;
  replication: boolean;
  connectionLimit: number;
  /** In UTC, whatever the session's style of dates; a name of a time zone may be another one's too. */
  validUntil: string | null;
  settings: RoleSetting[];
}

/** What a migration finds. */
export interface State {
  /** As `server_version_num`. */
  version: number;
  admin: { superuser: boolean; replication: boolean };
  roles: Map<string, Role>;
  /** Whether the one is a member of the other. */
  isMember(member: string, of: string): boolean;
  /** Databases in which a role owns something. */
  ownsIn(role: string): string[];
  /** To which the first of the roles may connect: not one with CONNECTION LIMIT 0 (or invalid, -2). */
  databases: string[];
}

/**
 * Looks at two users.
 * @throws RotationRefused if there is no first one
 */
export async function stateOf(session: PostgresSession, names: readonly [string, string]): Promise<State> {
  const [server] = await session.query(
    `SELECT current_setting('server_version_num')::int AS version, rolsuper AS superuser, rolreplication AS replication
       FROM pg_roles WHERE rolname = current_user`,
  );
  const rows = await session.query(
    `SELECT rolname AS name, rolcanlogin AS open, rolsuper AS superuser, rolreplication AS replication,
        rolconnlimit AS "limit", 
        CASE WHEN isfinite(rolvaliduntil) THEN to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00' END AS expiry, shobj_description(oid, 'pg_authid') AS comment
       FROM pg_roles WHERE rolname::text = ANY ($1)`,
    [names],
  );
  const roles = new Map<string, Role>();
  for (const { name, open, superuser, replication, limit, expiry, comment } of rows) {
    roles.set(String(name), {
      name: String(name),
      open: open === true,
      unfinished: comment === UNFINISHED,
      superuser: superuser === true,
      replication: replication === true,
      connectionLimit: Number(limit),
      validUntil: expiry === null ? null : String(expiry),
      settings: await readRoleSettings(session, String(name)),
    });
  }
  if (!roles.has(names[0])) {
    throw new RotationRefused(`There is no user ${names[0]} in the database. Correct the secret.`);
  }
  const memberships = await session.query(
    `SELECT m.rolname AS member, r.rolname AS role FROM pg_auth_members a
       JOIN pg_roles m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid WHERE m.rolname::text = ANY ($1)`,
    [names],
  );
  const owned = await session.query(
    `SELECT DISTINCT r.rolname AS role, coalesce(d.datname, 'every database') AS database FROM pg_shdepend s
       JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid
      WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o' AND r.rolname::text = ANY ($1)`,
    [names],
  );
  const databases = await session.query(
    `SELECT datname AS name FROM pg_database WHERE datallowconn AND datconnlimit NOT IN (0, -2) AND has_database_privilege($1, oid, 'CONNECT') ORDER BY datname`,
    [names[0]],
  );
  return {
    version: Number(server?.version),
    admin: { superuser: server?.superuser === true, replication: server?.replication === true },
    roles,
    isMember: (member, of) => memberships.some((row) => row.member === member && row.role === of),
    ownsIn: (role) => owned.filter((row) => row.role === role).map(({ database }) => String(database)),
    databases: databases.map(({ name }) => String(name)),
  };
}
