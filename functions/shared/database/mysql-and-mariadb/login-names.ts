import type { MysqlSession } from './session.ts';

/**
 * What in the server's databases asks who has logged in, as `view waweb.mine`: it would tell two users apart. What runs with
 * its definer's rights is told of the definer by CURRENT_USER, whoever has logged in, and by USER of the login.
 */
export async function loginNamesIn(session: MysqlSession): Promise<{ found: string[]; unseen: string[] }> {
  const rows = await session.query(FOUND.join(' UNION ALL '));
  const found: string[] = [];
  const unseen: string[] = [];
  for (const { what, text, invoker } of rows) {
    if (text === null || text === '') unseen.push(String(what));
    // Without what stands in strings.
    else if (
      (invoker ? LOGIN_OR_CURRENT : LOGIN).test(String(text).replaceAll(/'(?:[^'\\]|\\.|'')*'/gs, "''"))
    )
      found.push(String(what));
  }
  return { found: found.sort(), unseen: unseen.sort() };
}

/** A table may be called user; and one's own row in the list of connections has the name too. */
const LOGIN =
  /\b(?:user\s*\(\s*\)|session_user\b|system_user\b|processlist(?:_\w+)?\b[\s\S]*\b(?:connection_id|ps_current_thread_id)\s*\(|(?:connection_id|ps_current_thread_id)\s*\([\s\S]*\bprocesslist(?:_\w+)?\b)/i;
const LOGIN_OR_CURRENT = new RegExp(`${LOGIN.source}|\\bcurrent_user\\b`, 'i');

const OURS = (column: string) =>
  `${column} NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')`;

/** Only read, never run. */
const FOUND = [
  `SELECT CONCAT('view ', TABLE_SCHEMA, '.', TABLE_NAME) AS what, VIEW_DEFINITION AS text, SECURITY_TYPE = 'INVOKER' AS invoker
     FROM information_schema.VIEWS WHERE ${OURS('TABLE_SCHEMA')}`,
  `SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_SCHEMA, '.', ROUTINE_NAME) AS what, ROUTINE_DEFINITION AS text, SECURITY_TYPE = 'INVOKER' AS invoker
     FROM information_schema.ROUTINES WHERE ${OURS('ROUTINE_SCHEMA')}`,
  `SELECT CONCAT('trigger ', TRIGGER_SCHEMA, '.', TRIGGER_NAME) AS what, ACTION_STATEMENT AS text, FALSE AS invoker
     FROM information_schema.TRIGGERS WHERE ${OURS('TRIGGER_SCHEMA')}`,
  `SELECT CONCAT('column ', TABLE_SCHEMA, '.', TABLE_NAME, '.', COLUMN_NAME) AS what,
      CONCAT_WS(' ', COLUMN_DEFAULT, GENERATION_EXPRESSION) AS text, TRUE AS invoker
     FROM information_schema.COLUMNS
    WHERE (COLUMN_DEFAULT LIKE '%user%' OR GENERATION_EXPRESSION LIKE '%user%') AND ${OURS('TABLE_SCHEMA')}`,
];
