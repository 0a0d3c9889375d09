import { testInnodbSizes } from '../mysql-and-mariadb/sizes-tests.ts';
import { MYSQL } from '../sizes/servers.ts';

testInnodbSizes(MYSQL);
