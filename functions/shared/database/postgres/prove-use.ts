import pg from 'pg';
import type { DatabaseAddress } from '../contract/engine.ts';
import { mayMake, RotationRefused } from '../contract/errors.ts';
import type { TestedLogin } from '../contract/rotation.ts';
import { type RoleSetting, readRoleSettings, roleSettingStatement } from './role-settings.ts';
import { type PostgresSession, withPostgres } from './session.ts';

/** What the user in use has that the other one must have too. */
interface Model {
  /** The search path that its sessions begin with. */
  path: string;
  settings: RoleSetting[];
  database: string;
  /** A statement that it may make. */
  statement: string;
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
    if (!(await mayMake(session, wanted.statement))) {
      throw new RotationRefused(
        `${username} cannot do what ${model.username} can, so that containers would log in and fail: ${wanted.statement}. ` +
          `Give it the rights of ${model.username}, best by the owner's role: npx wa-upkeep migrate-to-alternating-users`,
      );
    }
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
    statement: await someStatement(session),
  };
}

/** Before our own statements. */
async function firstPath(session: PostgresSession): Promise<string> {
  const [row] = await session.query("SELECT reset_val AS path FROM pg_settings WHERE name = 'search_path'");
  return String(row?.path);
}

/**
 * Reads no row of a table that the session's user may read, of its own where it has one; where there is none, of nothing. Not
 * of one under row level security: the server runs what is immutable in a policy though no row is read.
 */
async function someStatement(session: PostgresSession): Promise<string> {
  const [table] = await session.query(
    `SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE relkind IN ('r', 'p') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
        AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
        AND NOT row_security_active(c.oid) ORDER BY pg_has_role(relowner, 'USAGE') DESC LIMIT 1`,
  );
  return table === undefined ? 'SELECT 1' : `SELECT 1 FROM ${table.name} LIMIT 0`;
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
