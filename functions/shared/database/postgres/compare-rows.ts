import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { StatementRefused } from '../contract/errors.ts';
import { QUERY_CANCELED } from './errors.ts';
import { type PostgresSession, withPostgres } from './session.ts';

/** Tables under row level security of which two logins do not see the same rows, and those that could not be counted. */
interface ComparedRows {
  different: string[];
  uncounted: string[];
}

/** Two logins that act as one may be told apart by what no text shows, such as a function in another language. */
export function compareRows(address: DatabaseAddress, one: Login, other: Login): Promise<ComparedRows> {
  return withPostgres(address, one, async (first) => {
    await first.query(BEGIN);
    const [row] = await first.query('SELECT pg_export_snapshot() AS id');
    const tables = await first.query(
      `SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS name
         FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relrowsecurity AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1`,
    );
    if (tables.length === 0) return { different: [], uncounted: [] };
    return withPostgres(address, other, async (second) => {
      await second.query(BEGIN);
      // What is written meanwhile makes no difference.
      await second.query(`SET TRANSACTION SNAPSHOT '${String(row?.id).replaceAll("'", '')}'`);
      const found: ComparedRows = { different: [], uncounted: [] };
      for (const { name } of tables) {
        const table = String(name);
        const [before, after] = [await count(first, table), await count(second, table)];
        if (before === undefined || after === undefined) found.uncounted.push(table);
        else if (before !== after)
          found.different.push(`${one.username} sees ${before} rows of ${table}, ${other.username} ${after}`);
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

/** `undefined` if it takes too long; the code of an error, where a policy fails. */
async function count(session: PostgresSession, table: string): Promise<string | undefined> {
  await session.query('SAVEPOINT counting');
  try {
    await session.query(`SET LOCAL statement_timeout = ${COUNT_TIMEOUT_MS}`);
    const [row] = await session.query(
      `SELECT count(*) AS count FROM (SELECT FROM ${table} LIMIT ${MOST_ROWS}) AS seen`,
    );
    return String(row?.count);
  } catch (error) {
    if (!(error instanceof StatementRefused)) throw error;
    return error.code === QUERY_CANCELED ? undefined : `no (${error.code})`;
  } finally {
    await session.query('ROLLBACK TO SAVEPOINT counting');
  }
}
