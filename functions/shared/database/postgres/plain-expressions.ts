/**
 * Expressions of these nodes alone, as the server keeps them (`pg_node_tree`), run no query and check no domain; and what has no
 * number from FirstNormalObjectId on is the server's own.
 */
const PLAIN_NODES = [
  ...['OPEXPR', 'FUNCEXPR', 'BOOLEXPR', 'VAR', 'CONST', 'RELABELTYPE', 'NULLTEST', 'BOOLEANTEST'],
  ...['SQLVALUEFUNCTION', 'SCALARARRAYOPEXPR', 'DISTINCTEXPR', 'NULLIFEXPR', 'COERCEVIAIO'],
  // Named otherwise up to PostgreSQL 15.
  ...[
    'CASEEXPR',
    'CASEWHEN',
    'CASETESTEXPR',
    'COALESCEEXPR',
    'ARRAYEXPR',
    'CASE',
    'WHEN',
    'COALESCE',
    'ARRAY',
  ],
].join('|');
const FIRST_NORMAL_OBJECT_ID = 16_384;
/** Of those functions that are not immutable, what policies ask. Others may run a query that is given as a text (`table_to_xml`). */
const ASKING_FUNCTIONS = "'current_setting', 'pg_has_role', 'now'";

/** What the server may run of a table's as soon as it plans a statement on it, in SQL. PostgreSQL 13 has no expressions in statistics. */
export const PLANNED = (table: string) => `
  SELECT indexprs::text FROM pg_index WHERE indrelid = ${table}
  UNION ALL SELECT indpred::text FROM pg_index WHERE indrelid = ${table}
  UNION ALL SELECT conbin::text FROM pg_constraint WHERE conrelid = ${table}
  UNION ALL SELECT to_jsonb(s) ->> 'stxexprs' FROM pg_statistic_ext s WHERE stxrelid = ${table}
  UNION ALL SELECT partexprs::text FROM pg_partitioned_table WHERE partrelid = ${table}`;

/** In SQL: whether none of the texts would have anybody's code run but the server's own. */
export function arePlain(texts: string): string {
  return `NOT EXISTS (
    SELECT FROM (${texts}) AS said (tree)
     WHERE tree ~ '\\{(?!(${PLAIN_NODES})\\M)' OR EXISTS (
        SELECT FROM regexp_matches(tree, ':(\\w+) (\\d+)', 'g') AS field (part)
         WHERE part[2]::int8 >= ${FIRST_NORMAL_OBJECT_ID} OR part[1] = 'funcid' AND NOT EXISTS (
            SELECT FROM pg_proc WHERE oid::int8 = part[2]::int8 AND (provolatile = 'i' OR proname IN (${ASKING_FUNCTIONS})))))`;
}
