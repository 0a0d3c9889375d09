import type { ConnectionLimits } from '../connection.ts';
import type { DatabaseAddress } from '../contract/engine.ts';
import type { SizeReader } from '../contract/sizes.ts';
import { type InnodbDialect, OLD_NAMES } from '../mysql-and-mariadb/innodb-server.ts';
import { innodbSizes } from '../mysql-and-mariadb/sizes.ts';
import { QUESTION_LIMIT_MS } from '../sizes/questions.ts';

/** Sizes on MariaDB 10.1 and later. */
export function mariadbSizes(address: DatabaseAddress, limits: ConnectionLimits): SizeReader {
  const dialect: InnodbDialect = {
    name: 'MariaDB',
    ask: async (session) => {
      await session.query(`SET SESSION max_statement_time = ${QUESTION_LIMIT_MS / 1000}`);
    },
    // MySQL's hint would be ignored without a word.
    countWithin: (limitMs, count) =>
      `SET STATEMENT max_statement_time = ${limitMs / 1000} FOR SELECT ${count}`,
    // ER_STATEMENT_TIMEOUT, of which the driver knows only the number.
    tooSlow: ['1969'],
    // Its performance schema is off by default.
    idleFromThreads: false,
    keepsRolledBackDeletes: false,
    files: OLD_NAMES,
  };
  return innodbSizes(address, dialect, limits);
}
