import { testInnodbSizes } from '../mysql-and-mariadb/sizes-tests.ts';
import { MARIADB } from '../sizes/servers.ts';

testInnodbSizes(MARIADB);
