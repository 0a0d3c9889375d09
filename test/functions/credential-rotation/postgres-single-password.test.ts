import { postgresDatabase } from '../rotate-secret/databases.ts';
import { testRotationDays } from './rotation-days-tests.ts';

testRotationDays(
  'PostgreSQL',
  postgresDatabase,
  { kind: 'single-password', user: 'wa' },
  { props: { acceptFailedLogins: true }, plays: 'strategy' },
);
