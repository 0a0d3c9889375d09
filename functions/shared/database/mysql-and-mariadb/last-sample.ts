import { isRefusal } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

/** What the server keeps of the last time that it sampled a table. */
export interface Sample {
  rows: number;
  /** Of how many pages it is, the least of its parts. Undefined: it is of all, or the user may not see that. */
  pages: number | undefined;
  /** How many pages held rows, as the server knew without a sample. Undefined: the user may not see that. */
  leafPages: number | undefined;
  /**
   * How many entries the secondary indexes have, by samples of their own: the most of one. One has as many as there are rows, or fewer where it
   * is unique and has NULL. Undefined: there is none, or the user may not see that.
   */
  entries: number | undefined;
}

const LEAF_PAGES = 'n_leaf_pages';

/** The index in which the rows themselves are. */
const CLUSTERED = ['PRIMARY', 'GEN_CLUST_INDEX'];

/**
 * A table's last sample, which the server keeps in `mysql.innodb_table_stats` and `mysql.innodb_index_stats`; those of partitions
 * are added up. Undefined where the user may not see that, or there is none.
 */
export async function lastSample(
  session: MysqlSession,
  database: string,
  table: string,
): Promise<Sample | undefined> {
  const where = 'database_name = ? AND (table_name = ? OR table_name LIKE ?)';
  const values = [database, table, `${table.replaceAll(/[\\%_]/g, '\\$&')}#%`];
  const ask = async (columns: string, more = '') => {
    const found = await ifVisible(
      session.query(`SELECT table_name AS name, ${columns} WHERE ${where}${more}`, values),
    );
    return found.filter(({ name }) => name === table || /^#p#/i.test(String(name).slice(table.length)));
  };
  const parts = await ask('n_rows AS sampled FROM mysql.innodb_table_stats');
  if (parts.length === 0) return undefined;
  const all = await ask(
    'index_name AS `index`, stat_name AS stat, stat_value AS value, sample_size AS pages FROM mysql.innodb_index_stats',
  );
  const isClustered = ({ index }: Record<string, unknown>) => CLUSTERED.includes(String(index));
  const indexes = all.filter(isClustered);
  // The rows are those that differ in all columns of the key: of how many pages these are, the last prefix says.
  const ofAllColumns = new Map(lastPrefixes(indexes).map(({ name, pages }) => [name, Number(pages)]));
  const ofSome = indexes.flatMap(({ name, stat, value }) => {
    const pages = ofAllColumns.get(name);
    return stat === LEAF_PAGES && pages !== undefined && pages < Number(value) ? [pages] : [];
  });
  const leaves = indexes.filter(({ stat }) => stat === LEAF_PAGES);
  const entries = new Map<unknown, number>();
  for (const { index, value } of lastPrefixes(all.filter((row) => !isClustered(row))))
    entries.set(index, (entries.get(index) ?? 0) + Number(value));
  return {
    leafPages: leaves.length > 0 ? leaves.reduce((sum, { value }) => sum + Number(value), 0) : undefined,
    rows: parts.reduce((sum, { sampled }) => sum + Number(sampled), 0),
    pages: ofSome.length > 0 ? Math.min(...ofSome) : undefined,
    entries: entries.size > 0 ? Math.max(...entries.values()) : undefined,
  };
}

/** Of each part's index the line of how many entries differ in all of its columns. */
function lastPrefixes(lines: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  const last = new Map<string, Record<string, unknown>>();
  for (const line of lines.toSorted((a, b) => String(a.stat).localeCompare(String(b.stat))))
    if (String(line.stat).startsWith('n_diff_pfx')) last.set(JSON.stringify([line.name, line.index]), line);
  return [...last.values()];
}

async function ifVisible(asked: Promise<Record<string, unknown>[]>): Promise<Record<string, unknown>[]> {
  try {
    return await asked;
  } catch (error) {
    if (!isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR', 'ER_NO_SUCH_TABLE'))
      throw error;
    return [];
  }
}
