import pg from 'pg';
import type { PostgresSession } from './session.ts';

/** A setting that sessions of a role begin with: for everywhere, or for one database. */
export interface RoleSetting {
  database: string | undefined;
  name: string;
  /** As the server keeps it. */
  value: string;
}

/** What `ALTER ROLE … SET` has given a role, everywhere first. */
export async function readRoleSettings(session: PostgresSession, role: string): Promise<RoleSetting[]> {
  const rows = await session.query(
    `SELECT d.datname AS database, s.setconfig AS entries
       FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
      WHERE r.rolname = $1 ORDER BY s.setdatabase`,
    [role],
  );
  return rows.flatMap(({ database, entries }) =>
    (entries as string[]).map((entry) => {
      const at = entry.indexOf('=');
      return {
        database: typeof database === 'string' ? database : undefined,
        name: entry.slice(0, at),
        value: entry.slice(at + 1),
      };
    }),
  );
}

/** The statement that gives a role a setting: by its text alone, so that no value becomes one of our own session. */
export function roleSettingStatement(role: string, { database, name, value }: RoleSetting): string {
  const scope = database === undefined ? '' : ` IN DATABASE ${pg.escapeIdentifier(database)}`;
  const values = LISTS.has(name) ? splitList(value) : [value];
  const literals = values.length > 0 ? values.map((text) => pg.escapeLiteral(text)).join(', ') : "''";
  return `ALTER ROLE ${pg.escapeIdentifier(role)}${scope} SET ${pg.escapeIdentifier(name)} TO ${literals}`;
}

/**
 * Settings that are lists of quoted names, which one literal would make a single name (GUC_LIST_QUOTE: the same ones as
 * in pg_dump's `variable_is_guc_list_quote`).
 */
const LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** The names of a list as the server keeps it: `"$user", public` (as its own SplitGUCList reads it). */
export function splitList(text: string): string[] {
  const names: string[] = [];
  for (const [, quoted, bare] of text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(?:,|$)/g)) {
    names.push(quoted === undefined ? (bare ?? '') : quoted.replaceAll('""', '"'));
  }
  return names;
}
