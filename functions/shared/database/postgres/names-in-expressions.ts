import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { withoutTimeouts, withPostgres } from './session.ts';

/**
 * What in a database asks who has logged in (`session_user` and its like), as `policy p on schema.table`: it would tell two
 * users apart who act as one. What asks whom the session acts as (`current_user`, `user`) is told the same of both.
 */
export function loginNamesIn(address: DatabaseAddress, login: Login): Promise<string[]> {
  return withPostgres(address, login, async (session) => {
    await withoutTimeouts(session);
    const rows = await session.query(
      `SELECT what FROM (${FOUND.join(' UNION ALL ')}) AS found (what, text)
        WHERE text ~* '${ASKING.join('|')}' ORDER BY what`,
    );
    return rows.map(({ what }) => String(what));
  });
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
