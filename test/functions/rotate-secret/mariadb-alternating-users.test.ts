import { mariadbDatabase } from './databases.ts';
import { testRotation } from './rotation-tests.ts';

testRotation('MariaDB', mariadbDatabase, { kind: 'alternating-users' });
