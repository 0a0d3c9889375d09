import { splitList } from './role-settings.ts';
import { type PostgresSession, withoutTimeouts } from './session.ts';

/** What a user has in a database, as a session of his own tells it or as one would begin: each thing by its name. */
export type Sight = ReadonlyMap<string, string>;

/** What one user has and another has not, or has otherwise. */
export interface Difference {
  what: string;
  before: string | undefined;
  after: string | undefined;
}

/**
 * Looks at a database as a user's own, new session has it: whom he acts as and with which attributes, the settings that it
 * begins with, the schemas and tables that are found without their schema's name, privileges on tables, sequences, functions
 * and schemas, and roles. Nothing of the user's is run for that.
 */
export async function lookAs(session: PostgresSession, login: string): Promise<Sight> {
  await withoutTimeouts(session);
  const [own] = await session.query('SELECT current_user AS role');
  // What the session was given before our first statement.
  const settings = await session.query(
    "SELECT name, reset_val AS value FROM pg_settings WHERE name <> 'application_name'",
  );
  // What an application has made up does not stand there.
  const madeUp = await session.query(
    "SELECT name, current_setting(name, true) AS value FROM unnest($1::text[]) AS given (name) WHERE name LIKE '%.%'",
    [[...(await givenSettings(session, login)).keys()]],
  );
  return look(session, {
    login,
    role: String(own?.role),
    settings: new Map([...madeUp, ...settings].map(({ name, value }) => [String(name), String(value)])),
  });
}

/**
 * The same of a session that a user would begin in the database of an administrator's session, as that session's transaction has
 * it: so also of a role that is there in this transaction alone. By the catalogue: what an event trigger of logins or
 * pg_hba.conf makes of it only a login shows.
 *
 * @param model what a session of another user, or of this one before, has: the source of those settings that no `SET` gives
 */
export async function lookAhead(
  session: PostgresSession,
  login: string,
  model: { login: string; sight: Sight },
): Promise<Sight> {
  await withoutTimeouts(session);
  const own = await givenSettings(session, login);
  const ofModel = await givenSettings(session, model.login);
  const settings = settingsOf(model.sight);
  for (const name of new Set([...own.keys(), ...ofModel.keys()])) {
    const value = own.get(name);
    if (value === ofModel.get(name)) continue;
    if (value === undefined) settings.delete(name);
    else settings.set(name, value);
  }
  const role = own.get('role') ?? 'none';
  const isTaken = role !== 'none' && (await mayActAs(session, login, role));
  return look(session, { login, role: isTaken ? role : login, settings });
}

/** What `ALTER ROLE … SET` and `ALTER DATABASE … SET` give a session of a user in this database: the nearest one of each. */
async function givenSettings(session: PostgresSession, login: string): Promise<Map<string, string>> {
  const rows = await session.query(
    `SELECT entry FROM pg_db_role_setting, unnest(setconfig) AS entry
      WHERE setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = $1::name))
        AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      ORDER BY setrole = 0 DESC, setdatabase = 0 DESC`,
    [login],
  );
  return new Map(
    rows.map(({ entry }) => {
      const text = String(entry);
      const at = text.indexOf('=');
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

/** Whether the server lets a user begin as a role, as `ALTER ROLE … SET role` asks it to; else it goes on without a word. */
export async function mayActAs(session: PostgresSession, login: string, role: string): Promise<boolean> {
  const [row] = await session.query(
    `SELECT pg_has_role($1::name, oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS may
       FROM pg_roles WHERE rolname = $2::name`,
    [login, role],
  );
  return row?.may === true;
}

const SETTING = 'setting ';

/** The settings that a session begins with. */
export function settingsOf(sight: Sight): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [what, value] of sight)
    if (what.startsWith(SETTING)) settings.set(what.slice(SETTING.length), value);
  return settings;
}

interface Beginning {
  login: string;
  /** As whom it acts. */
  role: string;
  settings: ReadonlyMap<string, string>;
}

async function look(session: PostgresSession, { login, role, settings }: Beginning): Promise<Sight> {
  const sight = new Map<string, string>([['acts as', role]]);
  for (const [name, value] of settings) sight.set(`${SETTING}${name}`, value);
  const path = splitList(settings.get('search_path') ?? '');
  for (const [statement, ...values] of [
    [ATTRIBUTES, role, login],
    [FOUND_BY_NAME, role, path],
    ...PRIVILEGES.map((privileges) => [privileges, role]),
    [ROLES, role, login],
  ] as [string, ...unknown[]][]) {
    for (const { what, value } of await session.query(statement, values))
      sight.set(String(what), String(value));
  }
  return sight;
}

/** Attributes count by the role that is acted as; but these by the one that logs in. */
const ATTRIBUTES = `
  SELECT 'attributes' AS what, concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolbypassrls) AS value
    FROM pg_roles WHERE rolname = $1::name
  UNION ALL SELECT unnest(ARRAY['replication', 'connection limit', 'expiry']),
      unnest(ARRAY[rolreplication::text, rolconnlimit::text,
        CASE WHEN isfinite(rolvaliduntil) THEN to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') ELSE 'none' END])
    FROM pg_roles WHERE rolname = $2::name`;

/**
 * As `pg_table_is_visible` tells it for the path that the session begins with; ours is another. Where the path does not name
 * pg_catalog, that comes first.
 */
const FOUND_BY_NAME = `
  WITH path AS (
    SELECT n.oid, min(e.place) AS place
      FROM (SELECT name, place FROM unnest($2::text[]) WITH ORDINALITY AS given (name, place)
            UNION ALL SELECT 'pg_catalog', 0 WHERE 'pg_catalog' <> ALL ($2::text[])) e
      JOIN pg_namespace n ON n.nspname = CASE e.name WHEN '$user' THEN $1::name ELSE e.name END
     WHERE has_schema_privilege($1::name, n.oid, 'USAGE') GROUP BY n.oid)
  SELECT DISTINCT ON (c.relname) 'found as ' || c.relname AS what, n.nspname || '.' || c.relname AS value
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN path ON path.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND c.relnamespace <> 'pg_catalog'::regnamespace
   ORDER BY c.relname, path.place`;

/** Of what is neither the server's own nor temporary. */
const OURS = "nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'";

const PRIVILEGES = [
  `SELECT 'table ' || nspname || '.' || relname AS what,
      concat_ws(' ', ${held('table', 'c.oid', ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])}, ${owned('relowner')}) AS value
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'v', 'm', 'f', 'p') AND ${OURS}`,
  `SELECT 'column ' || nspname || '.' || relname || '.' || attname AS what,
      concat_ws(' ', ${held('column', 'c.oid, attnum', ['SELECT', 'INSERT', 'UPDATE'])}) AS value
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
   WHERE attacl IS NOT NULL AND attnum > 0 AND NOT attisdropped AND ${OURS}`,
  `SELECT 'sequence ' || nspname || '.' || relname AS what, concat_ws(' ', ${held('sequence', 'c.oid', ['USAGE', 'SELECT', 'UPDATE'])}, ${owned('relowner')}) AS value
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'S' AND ${OURS}`,
  `SELECT 'function ' || p.oid::regprocedure AS what, concat_ws(' ', ${held('function', 'p.oid', ['EXECUTE'])}, ${owned('proowner')}) AS value
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE ${OURS}`,
  `SELECT 'schema ' || nspname AS what, concat_ws(' ', ${held('schema', 'oid', ['CREATE', 'USAGE'])}, ${owned('nspowner')}) AS value
    FROM pg_namespace WHERE ${OURS}`,
  `SELECT 'database ' || datname AS what, concat_ws(' ', ${held('database', 'oid', ['CREATE', 'CONNECT', 'TEMPORARY'])}, ${owned('datdba')}) AS value
    FROM pg_database`,
];

// The own self is nobody's loss.
const ROLES = `SELECT 'role ' || r.rolname AS what, concat_ws(' ', ${owned('r.oid')}, pg_has_role($1::name, r.oid, 'USAGE WITH ADMIN OPTION')) AS value
    FROM pg_roles r WHERE pg_has_role($1::name, r.oid, 'MEMBER') AND r.rolname NOT IN ($1::name, $2::name)`;

function held(kind: string, object: string, privileges: readonly string[]): string {
  return privileges
    .map((privilege) => `has_${kind}_privilege($1::name, ${object}, '${privilege}')`)
    .join(', ');
}

function owned(owner: string): string {
  return `pg_has_role($1::name, ${owner}, 'USAGE')`;
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
