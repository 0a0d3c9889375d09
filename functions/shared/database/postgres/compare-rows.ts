import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { StatementRefused } from '../contract/errors.ts';
import { INSUFFICIENT_PRIVILEGE, QUERY_CANCELED } from './errors.ts';
import { arePlain, PLANNED } from './plain-expressions.ts';
import { type PostgresSession, withoutTimeouts, withPostgres } from './session.ts';

/** Tables under row level security of which two users do not see the same rows, and why others were not counted. */
interface ComparedRows {
  /** How many were counted by both. */
  counted: number;
  different: string[];
  uncounted: string[];
}

/** A moment of the database, at which a session of a user stands still. */
export interface Moment {
  /** For `SET TRANSACTION SNAPSHOT`. */
  snapshot: string;
  /** Counts the rows that the user sees then of each table, and those that another one does. */
  compare(username: string, countOf: (table: string) => Promise<Counted>): Promise<ComparedRows>;
}

/**
 * Two logins that act as one may be told apart by what no text shows, such as a function in another language.
 */
export function compareRows(
  address: DatabaseAddress,
  { one, other, administrator }: { one: Login; other: Login; administrator: string },
): Promise<ComparedRows> {
  return atOneMoment(address, one, administrator, ({ snapshot, compare }) =>
    withPostgres(address, other, async (second) => {
      await withoutTimeouts(second);
      await second.query(BEGIN);
      await second.query(snapshot);
      return compare(other.username, (table) => count(second, table));
    }),
  );
}

/**
 * Stands still at a moment of the database, so that what is written meanwhile makes no difference.
 *
 * Counting runs a table's policies, which are its owner's code, with the rights of the two: so only where the owner is
 * somebody whom they obey anyhow (a superuser, the database's owner, a role of theirs, the administrator); or where nothing in
 * them is anybody's code but the server's own, and nobody else can change that between a look and the count, of which no lock
 * of a reader keeps an owner. Whose the schema is, may put another table in its place.
 */
export function atOneMoment<T>(
  address: DatabaseAddress,
  one: Login,
  administrator: string,
  work: (moment: Moment) => Promise<T>,
): Promise<T> {
  return withPostgres(address, one, async (first) => {
    await withoutTimeouts(first);
    await first.query(BEGIN);
    const [row] = await first.query('SELECT pg_export_snapshot() AS id');
    const tables = await first.query(TABLES, [administrator]);
    return work({
      snapshot: `SET TRANSACTION SNAPSHOT ${pg.escapeLiteral(String(row?.id))}`,
      compare: async (username, countOf) => {
        const found: ComparedRows = { counted: 0, different: [], uncounted: [] };
        for (const { name, owner, obeyed, harmless } of tables) {
          const table = String(name);
          if (obeyed !== true && harmless !== true) {
            found.uncounted.push(`${table} (its policies are ${owner}'s to change, and were not run)`);
            continue;
          }
          const [before, after] = [await count(first, table), await countOf(table)];
          const failure = [before, after].find((counted) => typeof counted === 'object');
          if (before === 'too-slow' || after === 'too-slow')
            found.uncounted.push(`${table} (it took too long)`);
          // A policy that looks for names without their schemas finds none in our path.
          else if (failure !== undefined && textOf(before) === textOf(after))
            found.uncounted.push(`${table} (SQLSTATE ${failure.code})`);
          else if (typeof after === 'object' && after.isOurs)
            found.uncounted.push(
              `${table} (this administrator may not look as ${username}, SQLSTATE ${after.code})`,
            );
          else if (textOf(before) !== textOf(after))
            found.different.push(
              `${one.username} sees ${textOf(before)} rows of ${table}, ${username} ${textOf(after)}`,
            );
          else found.counted += 1;
        }
        return found;
      },
    });
  });
}

/** Rows, or the code of the error with which a policy fails; and whether it was our own preparation that failed. */
type Counted = number | 'too-slow' | { code: string; isOurs?: boolean };

function textOf(counted: Counted): string {
  return typeof counted === 'object' ? `SQLSTATE ${counted.code} in place of` : String(counted);
}

/** Policies are the application's, and may call what it likes. */
const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

/** In SQL: whether the session's user obeys a role anyhow. The last one is the database's owner by another name. */
const isObeyed = (role: string) => `EXISTS (
  SELECT FROM pg_roles r WHERE r.oid = ${role}
     AND (r.rolsuper OR r.rolname IN ($1, 'pg_database_owner') OR pg_has_role(r.oid, 'USAGE')
       OR r.oid = (SELECT datdba FROM pg_database WHERE datname = current_database())))`;

/** In SQL: whether nobody can log in and act as a role but whom the session's user obeys anyhow. */
const isNobodyElses = (role: string) => `NOT EXISTS (
  SELECT FROM pg_roles l WHERE l.rolcanlogin AND pg_has_role(l.oid, ${role}, 'MEMBER') AND NOT ${isObeyed('l.oid')})`;

/**
 * Those of which rows may be counted by the session's user. The server runs what is immutable in any of the texts as it plans;
 * of a partition, also in its parent's.
 */
const TABLES = `
  SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS name, CASE WHEN settled THEN o.rolname ELSE s.rolname END AS owner,
      settled AND ${isObeyed('o.oid')} AS obeyed,
      settled AND ${isNobodyElses('o.oid')} AND NOT EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhparent, inhrelid))
        AND ${arePlain(`SELECT polqual::text FROM pg_policy WHERE polrelid = c.oid UNION ALL ${PLANNED('c.oid')}`)} AS harmless
     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_roles o ON o.oid = relowner JOIN pg_roles s ON s.oid = nspowner,
       LATERAL (SELECT ${isObeyed('nspowner')} OR ${isNobodyElses('nspowner')} AS settled) AS schema
    WHERE relrowsecurity AND relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
    ORDER BY 1`;

/** More rows are not counted: by then the one sees what the other sees, or much. */
const MOST_ROWS = 100_000;
const COUNT_TIMEOUT_MS = 10_000;

function countStatement(table: string): string {
  return `SELECT count(*) AS count FROM (SELECT FROM ${table} LIMIT ${MOST_ROWS}) AS seen`;
}

/** By a session of the user who looks. */
function count(session: PostgresSession, table: string): Promise<Counted> {
  return counting(session, async () => {
    await session.query('SET LOCAL row_security = on');
    return countStatement(table);
  });
}

/**
 * By the session of an administrator, in its transaction: as a user would count who acts as a role and logs in by another name.
 *
 * Policies are run in it, which must not become the administrator: within a function of the role's (SECURITY DEFINER) the server
 * refuses SET ROLE and SET SESSION AUTHORIZATION. Nothing is executed after it before it is rolled back, with all settings.
 *
 * @param role as whom the user acts
 * @param settings what the user's sessions begin with: of these, those that an application has made up are its own meanwhile
 */
export async function countAs(
  session: PostgresSession,
  {
    username,
    role,
    settings,
    table,
  }: { username: string; role: string; settings: ReadonlyMap<string, string>; table: string },
): Promise<Counted> {
  const [own] = await session.query(
    "SELECT current_user AS actor, rolsuper AS superuser, current_setting('server_version_num')::int >= 160000 AS grants FROM pg_roles WHERE rolname = session_user",
  );
  const name = pg.escapeIdentifier(role);
  const madeUp = [...settings].filter(([setting]) => setting.includes('.'));
  const given = await session.query(
    'SELECT name, value FROM unnest($1::text[], $2::text[]) AS given (name, value) WHERE current_setting(name, true) IS DISTINCT FROM value',
    [madeUp.map(([setting]) => setting), madeUp.map(([, value]) => value)],
  );
  return counting(session, async () => {
    // Who administers a role may let himself act as it.
    if (own?.superuser !== true && own?.grants === true)
      await session.query(`GRANT ${name} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE`);
    await session.query(`SET LOCAL ROLE ${name}`);
    // By the role, which may do no more with them than the user.
    for (const { name: setting, value } of given)
      await session.query(
        `SET LOCAL ${pg.escapeIdentifier(String(setting))} TO ${pg.escapeLiteral(String(value))}`,
      );
    await session.query(
      `CREATE FUNCTION pg_temp.counted() RETURNS int8 LANGUAGE sql SECURITY DEFINER SET row_security = on AS ${pg.escapeLiteral(countStatement(table))}`,
    );
    // Default privileges may have taken that away.
    await session.query('GRANT EXECUTE ON FUNCTION pg_temp.counted() TO PUBLIC');
    await session.query(`SET LOCAL ROLE ${pg.escapeIdentifier(String(own?.actor))}`);
    // Only a superuser may log in as somebody else. Any other name than the first user's shows that a policy asks for it.
    if (own?.superuser === true)
      await session.query(`SET LOCAL SESSION AUTHORIZATION ${pg.escapeIdentifier(username)}`);
    await session.query('SET LOCAL transaction_read_only = on');
    return 'SELECT pg_temp.counted() AS count';
  });
}

async function counting(session: PostgresSession, prepare: () => Promise<string>): Promise<Counted> {
  await session.query('SAVEPOINT counting');
  let isOurs = true;
  try {
    await session.query(`SET LOCAL statement_timeout = ${COUNT_TIMEOUT_MS}`);
    const statement = await prepare();
    isOurs = false;
    const [row] = await session.query(statement);
    return Number(row?.count);
  } catch (error) {
    if (!(error instanceof StatementRefused)) throw error;
    if (error.code === QUERY_CANCELED) return 'too-slow';
    return { code: error.code, ...(isOurs && error.code === INSUFFICIENT_PRIVILEGE && { isOurs }) };
  } finally {
    await session.query('ROLLBACK TO SAVEPOINT counting');
  }
}
