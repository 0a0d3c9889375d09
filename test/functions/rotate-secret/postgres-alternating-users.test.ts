import { postgresDatabase } from './databases.ts';
import { testRotation } from './rotation-tests.ts';

testRotation('PostgreSQL', postgresDatabase, {
  kind: 'alternating-users',
  users: ['wa', 'wa_clone'],
});
