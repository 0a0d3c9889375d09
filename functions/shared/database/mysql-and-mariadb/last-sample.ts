import { isRefusal } from './innodb-server.ts';
import type { MysqlSession } from './session.ts';

/**
 * How many rows a table had by the server's last sample, which it keeps in `mysql.innodb_table_stats`; those of partitions are
 * added up. Undefined where the user may not see that, or there is none.
 */
export async function lastSample(
  session: MysqlSession,
  database: string,
  table: string,
): Promise<number | undefined> {
  try {
    const samples = await session.query(
      'SELECT table_name AS name, n_rows AS sampled FROM mysql.innodb_table_stats WHERE database_name = ? AND (table_name = ? OR table_name LIKE ?)',
      [database, table, `${table.replaceAll(/[\\%_]/g, '\\$&')}#%`],
    );
    const own = samples.filter(
      ({ name }) => name === table || /^#p#/i.test(String(name).slice(table.length)),
    );
    return own.length > 0 ? own.reduce((sum, { sampled }) => sum + Number(sampled), 0) : undefined;
  } catch (error) {
    if (!isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR', 'ER_NO_SUCH_TABLE'))
      throw error;
    return undefined;
  }
}
