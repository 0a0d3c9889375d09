import pg from 'pg';
import type { DatabaseAddress } from '../contract/engine.ts';
import { mayMake, RotationRefused, StatementRefused } from '../contract/errors.ts';
import type { TestedLogin } from '../contract/rotation.ts';
import { type RoleSetting, readRoleSettings, roleSettingStatement } from './role-settings.ts';
import { type PostgresSession, withPostgres } from './session.ts';

/** What the user in use has that the other one must have too. */
interface Model {
  /** The search path that its sessions begin with. */
  path: string;
  settings: RoleSetting[];
  database: string;
  /** A table that it may read, as statements name it. */
  table: string | undefined;
}

/**
 * Logs in as containers do, into their database, and acts as the owner. Another user than the model must begin with the same
 * search path, and use a right that the model has.
 * @throws RotationRefused with the statements that give what is missing
 */
export async function proveUse(
  address: DatabaseAddress,
  owner: string | undefined,
  login: TestedLogin,
  model: TestedLogin = login,
): Promise<void> {
  const wanted =
    model.username === login.username
      ? undefined
      : await withPostgres(inDatabase(address, model), model, (session) => modelOf(session, model));
  await withPostgres(inDatabase(address, login), login, async (session) => {
    const { username } = login;
    const [row] = await session.query('SELECT current_user AS role');
    if (owner !== undefined && row?.role !== owner) {
      throw new RotationRefused(
        `${username} acts as ${row?.role} and not as ${owner}, so what it makes would be closed to the other user. ` +
          `GRANT ${pg.escapeIdentifier(owner)} TO ${pg.escapeIdentifier(username)}; ` +
          `ALTER ROLE ${pg.escapeIdentifier(username)} SET role = ${pg.escapeLiteral(owner)}`,
      );
    }
    if (wanted === undefined) return;
    const path = await firstPath(session);
    if (path !== wanted.path) {
      const mend = await pathStatement(session, username, wanted);
      throw new RotationRefused(
        `${username} begins with the search path ${path} and ${model.username} with ${wanted.path}, so that containers would not find the same tables. An administrator mends it: ${mend}`,
      );
    }
    if (wanted.table === undefined || (await mayUse(session, wanted.table))) return;
    throw new RotationRefused(
      `${username} may not read ${wanted.table} as ${model.username} may, so that containers would log in and fail. ` +
        `Give it the rights of ${model.username}, best by the owner's role: npx wa-upkeep migrate-to-alternating-users`,
    );
  });
}

function inDatabase(address: DatabaseAddress, { dbname }: TestedLogin): DatabaseAddress {
  return dbname ? { ...address, database: dbname } : address;
}

async function modelOf(session: PostgresSession, { username }: TestedLogin): Promise<Model> {
  const [row] = await session.query('SELECT current_database() AS database');
  return {
    path: await firstPath(session),
    settings: await readRoleSettings(session, username),
    database: String(row?.database),
    table: await someTable(session),
  };
}

/** Before our own statements. */
async function firstPath(session: PostgresSession): Promise<string> {
  const [row] = await session.query("SELECT reset_val AS path FROM pg_settings WHERE name = 'search_path'");
  return String(row?.path);
}

/** One that the session's user may read, of its own where it has one. */
async function someTable(session: PostgresSession): Promise<string | undefined> {
  const [table] = await session.query(
    `SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
        AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
      ORDER BY pg_has_role(relowner, 'USAGE') DESC LIMIT 1`,
  );
  return table === undefined ? undefined : String(table.name);
}

/**
 * Takes for a moment the lock of who reads a table, which needs the right to. A query is planned first, and that runs what is
 * immutable in the table's policies, indexes and constraints: its owner's code.
 */
async function mayUse(session: PostgresSession, table: string): Promise<boolean> {
  const [right] = await session.query("SELECT has_table_privilege($1, 'SELECT') AS held", [table]).catch(
    // Nor may it know the schema.
    (error) => (error instanceof StatementRefused ? [] : Promise.reject(error)),
  );
  if (right?.held !== true) return false;
  await session.query('BEGIN');
  try {
    return await mayMake(session, `LOCK TABLE ONLY ${table} IN ACCESS SHARE MODE`);
  } finally {
    await session.query('ROLLBACK');
  }
}

/** The one for the database counts before the one for everywhere. */
async function pathStatement(session: PostgresSession, username: string, wanted: Model): Promise<string> {
  const pathIn = (settings: readonly RoleSetting[]) => {
    const paths = settings.filter(({ name }) => name === 'search_path');
    return (
      paths.find(({ database }) => database === wanted.database) ??
      paths.find(({ database }) => database === undefined)
    );
  };
  const has = pathIn(await readRoleSettings(session, username));
  const other = pathIn(wanted.settings);
  if (other !== undefined) return roleSettingStatement(username, { ...other, ...(has && scopeOf(has)) });
  const scope = has?.database === undefined ? '' : ` IN DATABASE ${pg.escapeIdentifier(has.database)}`;
  return `ALTER ROLE ${pg.escapeIdentifier(username)}${scope} RESET search_path`;
}

function scopeOf({ database }: RoleSetting): Pick<RoleSetting, 'database'> {
  return { database };
}
