import { startMysql } from '../../../../rehearsal/databases/mysql.ts';
import { testInnodbSizes } from './size-innodb.ts';

testInnodbSizes({
  label: 'MySQL',
  engine: 'mysql',
  start: startMysql,
  options: ['--innodb-redo-log-capacity=1G', '--cte-max-recursion-depth=10000000'],
  numbers: (columns, count) =>
    `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count}) SELECT ${columns} FROM numbers`,
  rowsRead:
    "SELECT sum(COUNT_READ) AS rowsRead FROM performance_schema.table_io_waits_summary_by_table WHERE OBJECT_SCHEMA = 'wa1_messageStore' AND OBJECT_NAME = 'messages'",
  idleGrant: 'SELECT (PROCESSLIST_COMMAND, PROCESSLIST_TIME, PROCESSLIST_DB) ON performance_schema.threads',
});
