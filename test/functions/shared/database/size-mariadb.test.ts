import { testInnodbSizes } from './size-innodb.ts';
import { MARIADB } from './size-servers.ts';

testInnodbSizes(MARIADB);
