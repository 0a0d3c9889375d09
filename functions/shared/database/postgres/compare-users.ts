import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { splitList } from './role-settings.ts';
import { type PostgresSession, withoutTimeouts, withPostgres } from './session.ts';

/** What a user has in a database, as a session of his own tells it: each thing by its name. */
export type Sight = ReadonlyMap<string, string>;

/** What one user has and another has not, or has otherwise. */
export interface Difference {
  what: string;
  before: string | undefined;
  after: string | undefined;
}

/**
 * Looks at a database as a user's new session has it: whom he acts as and with which attributes, the settings that it
 * begins with, the schemas and tables that are found without their schema's name, privileges on tables, sequences, functions
 * and schemas, and roles. Nothing of the user's is run for that.
 */
export function lookAs(address: DatabaseAddress, login: Login): Promise<Sight> {
  return withPostgres(address, login, look);
}

async function look(session: PostgresSession): Promise<Sight> {
  await withoutTimeouts(session);
  const sight = new Map<string, string>();
  const add = (rows: Record<string, unknown>[]) => {
    for (const { what, value } of rows) sight.set(String(what), String(value));
  };
  add(await session.query(ROLE));
  // What the session was given before our first statement.
  const settings = await session.query(
    "SELECT name, reset_val AS value FROM pg_settings WHERE name <> 'application_name'",
  );
  add(settings.map(({ name, value }) => ({ what: `setting ${name}`, value })));
  const path = splitList(String(settings.find(({ name }) => name === 'search_path')?.value));
  add(await session.query(FOUND_BY_NAME, [path]));
  for (const statement of PRIVILEGES) add(await session.query(statement));
  return sight;
}

/** Attributes count by the role that is acted as; but these by the one that logs in. */
const ROLE = `
  SELECT 'acts as' AS what, current_user::text AS value
  UNION ALL SELECT 'attributes', concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolbypassrls)
    FROM pg_roles WHERE rolname = current_user
  UNION ALL SELECT 'replication, connection limit, expiry', concat_ws(' ', rolreplication, rolconnlimit, nullif(rolvaliduntil, 'infinity'))
    FROM pg_roles WHERE rolname = session_user`;

/**
 * As `pg_table_is_visible` tells it for the path that the session began with; ours is another. Where the path does not name
 * pg_catalog, that comes first.
 */
const FOUND_BY_NAME = `
  WITH path AS (
    SELECT n.oid, min(e.place) AS place
      FROM (SELECT name, place FROM unnest($1::text[]) WITH ORDINALITY AS given (name, place)
            UNION ALL SELECT 'pg_catalog', 0 WHERE 'pg_catalog' <> ALL ($1::text[])) e
      JOIN pg_namespace n ON n.nspname = CASE e.name WHEN '$user' THEN current_user ELSE e.name END
     WHERE has_schema_privilege(n.oid, 'USAGE') GROUP BY n.oid)
  SELECT DISTINCT ON (c.relname) 'found as ' || c.relname AS what, n.nspname || '.' || c.relname AS value
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN path ON path.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND c.relnamespace <> 'pg_catalog'::regnamespace
   ORDER BY c.relname, path.place`;

/** Of what is neither the server's own nor temporary. */
const OURS = "nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'";

const PRIVILEGES = [
  `SELECT 'table ' || nspname || '.' || relname AS what,
      concat_ws(' ', ${held('table', 'c.oid', ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])}, pg_has_role(relowner, 'USAGE')) AS value
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND ${OURS}`,
  `SELECT 'column ' || nspname || '.' || relname || '.' || attname AS what,
      concat_ws(' ', has_column_privilege(c.oid, attnum, 'SELECT'), has_column_privilege(c.oid, attnum, 'INSERT'), has_column_privilege(c.oid, attnum, 'UPDATE')) AS value
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
   WHERE attacl IS NOT NULL AND attnum > 0 AND NOT attisdropped AND ${OURS}`,
  `SELECT 'sequence ' || nspname || '.' || relname AS what, concat_ws(' ', ${held('sequence', 'c.oid', ['USAGE', 'SELECT', 'UPDATE'])}, pg_has_role(relowner, 'USAGE')) AS value
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'S' AND ${OURS}`,
  `SELECT 'function ' || p.oid::regprocedure AS what, concat_ws(' ', has_function_privilege(p.oid, 'EXECUTE'), pg_has_role(proowner, 'USAGE')) AS value
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE ${OURS}`,
  `SELECT 'schema ' || nspname AS what, concat_ws(' ', ${held('schema', 'oid', ['CREATE', 'USAGE'])}, pg_has_role(nspowner, 'USAGE')) AS value
    FROM pg_namespace WHERE ${OURS}`,
  `SELECT 'database ' || datname AS what, concat_ws(' ', ${held('database', 'oid', ['CREATE', 'CONNECT', 'TEMPORARY'])}, pg_has_role(datdba, 'USAGE')) AS value
    FROM pg_database`,
  // The own second self is nobody's loss.
  `SELECT 'role ' || r.rolname AS what, concat_ws(' ', pg_has_role(r.oid, 'USAGE'), pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION')) AS value
    FROM pg_roles r WHERE pg_has_role(r.oid, 'MEMBER') AND r.rolname <> session_user`,
];

function held(kind: string, object: string, privileges: readonly string[]): string {
  return privileges.map((privilege) => `has_${kind}_privilege(${object}, '${privilege}')`).join(', ');
}

/** What is otherwise in one sight than in another, of what the first one has. What was dropped in between is no difference. */
export function differences(before: Sight, after: Sight): Difference[] {
  const isThere = (name: string) => after.has(`table ${name}`) || after.has(`sequence ${name}`);
  return [...before].flatMap(([what, value]) => {
    const now = after.get(what);
    if (now === value) return [];
    // All are listed, whatever the privileges on them.
    if (now === undefined && /^(table|column|sequence|function|schema|database) /.test(what)) return [];
    if (what.startsWith('found as ') && !isThere(value)) return [];
    return [{ what, before: value, after: now }];
  });
}
