import { startMariadb } from '../../../../rehearsal/databases/mariadb.ts';
import { testInnodbSizes } from './size-innodb.ts';

testInnodbSizes({
  label: 'MariaDB',
  engine: 'mariadb',
  start: startMariadb,
  options: ['--innodb-log-file-size=512M'],
  numbers: (columns, count) => `SELECT ${columns} FROM (SELECT seq AS n FROM seq_1_to_${count}) numbers`,
  startCounting: 'SET GLOBAL userstat = ON',
  rowsRead:
    "SELECT sum(ROWS_READ) AS rowsRead FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = 'wa1_messageStore' AND TABLE_NAME = 'messages'",
  idleGrant: 'PROCESS ON *.*',
});
