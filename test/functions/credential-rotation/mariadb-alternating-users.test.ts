import { mariadbDatabase } from '../rotate-secret/databases.ts';
import { testRotationDays } from './rotation-days-tests.ts';

testRotationDays('MariaDB', mariadbDatabase, { kind: 'alternating-users' });
