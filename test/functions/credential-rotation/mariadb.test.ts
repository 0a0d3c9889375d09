import { mariadbDatabase } from '../rotate-secret/databases.ts';
import { testRotationDays } from './rotation-days-tests.ts';

// Its logins cost the least, so that what depends on no engine is played on it.
testRotationDays('MariaDB', mariadbDatabase, { kind: 'dual-password' }, { plays: 'everything' });
