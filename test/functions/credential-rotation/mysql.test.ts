import { mysqlDatabase } from '../rotate-secret/databases.ts';
import { testRotationDays } from './rotation-days-tests.ts';

testRotationDays('MySQL', mysqlDatabase, { kind: 'dual-password' });
