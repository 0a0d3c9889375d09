import { postgresDatabase } from '../rotate-secret/databases.ts';
import { testRotationDays } from './rotation-days-tests.ts';

testRotationDays(
  'PostgreSQL',
  postgresDatabase,
  { kind: 'alternating-users', users: ['wa', 'wa_clone'] },
  { plays: 'strategy' },
);
