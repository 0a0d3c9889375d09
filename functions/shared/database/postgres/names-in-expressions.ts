import { StatementRefused } from '../contract/errors.ts';
import { type PostgresSession, withoutTimeouts } from './session.ts';

/**
 * What in a database asks who has logged in (`session_user` and its like), as `policy p on schema.table`: it would tell two
 * users apart who act as one. What asks whom the session acts as (`current_user`, `user`) is told the same of both.
 */
export async function loginNamesIn(session: PostgresSession): Promise<string[]> {
  await withoutTimeouts(session);
  const rows = await session.query(
    `SELECT what FROM (${FOUND.join(' UNION ALL ')}) AS found (what, text)
      WHERE text ~* '${ASKING.join('|')}' ORDER BY what`,
  );
  return rows.map(({ what }) => String(what));
}

/**
 * The same of what some users' sessions have said: as far as the server keeps statements (pg_stat_statements) and shows them.
 * @returns `undefined` where it does not
 */
export async function loginNamesInStatements(
  session: PostgresSession,
  usernames: readonly string[],
): Promise<string[] | undefined> {
  // The extension's own view, which nobody but its owner could have replaced.
  const [view] = await session.query(
    `SELECT quote_ident(nspname) || '.pg_stat_statements' AS name FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace
       JOIN pg_roles o ON o.oid = extowner JOIN pg_class c ON c.relnamespace = n.oid AND relname = extname
       JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refobjid = e.oid AND d.deptype = 'e'
      WHERE extname = 'pg_stat_statements' AND (rolsuper OR rolname = current_user) AND pg_has_role('pg_read_all_stats', 'USAGE')`,
  );
  if (view === undefined) return undefined;
  try {
    const rows = await session.query(
      `SELECT DISTINCT query FROM ${view.name} JOIN pg_roles r ON r.oid = userid
        WHERE r.rolname::text = ANY ($1) AND query ~* '${[...ASKING, ROLE_NOT_KEPT].join('|')}' ORDER BY 1`,
      [usernames],
    );
    return rows.map(({ query }) => `a statement of the application, ${shown(String(query))}`);
  } catch (error) {
    // Its library is not loaded.
    if (error instanceof StatementRefused) return undefined;
    throw error;
  }
}

/** `SET ROLE $1`, as the extension keeps it from PostgreSQL 18 on: it may have been NONE. Ours are LOCAL. */
const ROLE_NOT_KEPT = '^\\s*set\\s+(session\\s+)?role\\s+((=|to)\\s*)?\\$';

/** Without what stands in strings, which may be a password. */
function shown(statement: string): string {
  const text = statement.replaceAll(/'(?:[^']|'')*'?/g, '…').replaceAll(/\s+/g, ' ');
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

const ASKING = [
  '\\m(session_user|system_user|session_authorization|getpgusername)\\M',
  // The own row in the list of sessions.
  '\\mpg_backend_pid\\M.*\\muse(name|sysid)\\M',
  '\\muse(name|sysid)\\M.*\\mpg_backend_pid\\M',
  // SET ROLE NONE, set_config('role', 'none', …): from then on the session acts as who has logged in.
  '\\mrole\\M\\W+none\\M',
];

const OURS = "nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'";

/** Only shown by the server, never run. */
const FOUND = [
  `SELECT 'policy ' || polname || ' on ' || polrelid::regclass,
      concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy`,
  `SELECT 'default of ' || attname || ' in ' || adrelid::regclass, pg_get_expr(adbin, adrelid)
     FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum`,
  `SELECT 'constraint ' || conname || ' on ' || coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text),
      pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint WHERE contype = 'c'`,
  `SELECT 'default of domain ' || oid::regtype, typdefault FROM pg_type WHERE typtype = 'd'`,
  `SELECT 'view ' || c.oid::regclass, pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('v', 'm') AND ${OURS}`,
  `SELECT 'rule ' || rulename || ' on ' || ev_class::regclass, pg_get_ruledef(r.oid)
     FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE rulename <> '_RETURN' AND ${OURS}`,
  `SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass, pg_get_triggerdef(oid)
     FROM pg_trigger WHERE NOT tgisinternal AND tgqual IS NOT NULL`,
  `SELECT 'function ' || p.oid::regprocedure, pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE prokind IN ('f', 'p') AND prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'c')) AND ${OURS}
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')`,
];
