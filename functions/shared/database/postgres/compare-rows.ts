import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { StatementRefused } from '../contract/errors.ts';
import { QUERY_CANCELED } from './errors.ts';
import { type PostgresSession, withoutTimeouts, withPostgres } from './session.ts';

/** Tables under row level security of which two logins do not see the same rows, and why others were not counted. */
interface ComparedRows {
  different: string[];
  uncounted: string[];
}

/**
 * Two logins that act as one may be told apart by what no text shows, such as a function in another language.
 *
 * Counting runs a table's policies, which are its owner's code, with the rights of the two: so only where the owner is
 * somebody whom they obey anyhow (a superuser, the database's owner, a role of theirs, the administrator).
 */
export function compareRows(
  address: DatabaseAddress,
  { one, other, administrator }: { one: Login; other: Login; administrator: string },
): Promise<ComparedRows> {
  return withPostgres(address, one, async (first) => {
    await withoutTimeouts(first);
    await first.query(BEGIN);
    const [row] = await first.query('SELECT pg_export_snapshot() AS id');
    const tables = await first.query(
      `SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS name, o.rolname AS owner,
          o.rolsuper OR o.rolname = $1 OR pg_has_role(o.oid, 'USAGE')
            OR o.oid = (SELECT datdba FROM pg_database WHERE datname = current_database()) AS obeyed
         FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_roles o ON o.oid = relowner
        WHERE relrowsecurity AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') ORDER BY 1`,
      [administrator],
    );
    if (tables.length === 0) return { different: [], uncounted: [] };
    return withPostgres(address, other, async (second) => {
      await withoutTimeouts(second);
      await second.query(BEGIN);
      // What is written meanwhile makes no difference.
      await second.query(`SET TRANSACTION SNAPSHOT '${String(row?.id).replaceAll("'", '')}'`);
      const found: ComparedRows = { different: [], uncounted: [] };
      for (const { name, owner, obeyed } of tables) {
        const table = String(name);
        if (obeyed !== true) {
          found.uncounted.push(`${table} (its policies are ${owner}'s, and were not run)`);
          continue;
        }
        const [before, after] = [await count(first, table), await count(second, table)];
        if (before === undefined || after === undefined) found.uncounted.push(`${table} (it took too long)`);
        else if (before !== after)
          found.different.push(`${one.username} sees ${before} rows of ${table}, ${other.username} ${after}`);
        // A policy that looks for names without their schemas finds none in our path.
        else if (before.startsWith(FAILED))
          found.uncounted.push(`${table} (SQLSTATE ${before.slice(FAILED.length)})`);
      }
      return found;
    });
  });
}

/** Policies are the application's, and may call what it likes. */
const BEGIN = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';

/** More rows are not counted: by then the one sees what the other sees, or much. */
const MOST_ROWS = 100_000;
const COUNT_TIMEOUT_MS = 10_000;

/** Before the code of an error, in place of a number. */
const FAILED = 'no: ';

/** `undefined` if it takes too long; the code of an error, where a policy fails. */
async function count(session: PostgresSession, table: string): Promise<string | undefined> {
  await session.query('SAVEPOINT counting');
  try {
    await session.query(`SET LOCAL statement_timeout = ${COUNT_TIMEOUT_MS}`);
    await session.query('SET LOCAL row_security = on');
    const [row] = await session.query(
      `SELECT count(*) AS count FROM (SELECT FROM ${table} LIMIT ${MOST_ROWS}) AS seen`,
    );
    return String(row?.count);
  } catch (error) {
    if (!(error instanceof StatementRefused)) throw error;
    return error.code === QUERY_CANCELED ? undefined : `${FAILED}${error.code}`;
  } finally {
    await session.query('ROLLBACK TO SAVEPOINT counting');
  }
}
