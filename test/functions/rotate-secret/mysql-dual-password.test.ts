import { mysqlDatabase } from './databases.ts';
import { testRotation } from './rotation-tests.ts';

// What it does with AWS it does as with MariaDB, whose logins cost less.
testRotation('MySQL', mysqlDatabase, { kind: 'dual-password' }, { breaksOff: 'at statements' });
