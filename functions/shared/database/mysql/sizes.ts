import type { ConnectionLimits } from '../connection.ts';
import type { DatabaseAddress } from '../contract/engine.ts';
import type { SizeReader } from '../contract/sizes.ts';
import { type InnodbDialect, isRefusal } from '../mysql-and-mariadb/innodb-server.ts';
import { innodbSizes } from '../mysql-and-mariadb/sizes.ts';
import { QUESTION_LIMIT_MS } from '../sizes/questions.ts';

/** Sizes on MySQL 5.7 and later, and Aurora MySQL. */
export function mysqlSizes(address: DatabaseAddress, limits: ConnectionLimits): SizeReader {
  const dialect: InnodbDialect = {
    name: 'MySQL',
    ask: async (session) => {
      await session.query(`SET SESSION max_execution_time = ${QUESTION_LIMIT_MS}`);
      try {
        // Else the server tells numbers that are up to a day old. Needs no privilege.
        await session.query('SET SESSION information_schema_stats_expiry = 0');
      } catch (error) {
        // MySQL 5.7, which keeps no old ones.
        if (!isRefusal(error, 'ER_UNKNOWN_SYSTEM_VARIABLE')) throw error;
      }
    },
    countWithin: (limitMs, count) => `SELECT /*+ MAX_EXECUTION_TIME(${limitMs}) */ ${count}`,
    // A count without a condition is ended as if it had been killed (ER_QUERY_INTERRUPTED).
    tooSlow: ['ER_QUERY_TIMEOUT'],
    idleFromThreads: true,
    keepsRolledBackDeletes: true,
    files: { tablespaces: 'INNODB_TABLESPACES', tables: 'INNODB_TABLES' },
  };
  return innodbSizes(address, dialect, limits);
}
