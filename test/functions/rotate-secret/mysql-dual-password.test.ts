import { mysqlDatabase } from './databases.ts';
import { testRotation } from './rotation-tests.ts';

testRotation('MySQL', mysqlDatabase, { kind: 'dual-password' });
