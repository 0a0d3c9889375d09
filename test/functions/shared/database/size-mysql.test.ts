import { testInnodbSizes } from './size-innodb.ts';
import { MYSQL } from './size-servers.ts';

testInnodbSizes(MYSQL);
