import { type Fault, HOUR } from './fault.ts';

/** What goes wrong of the tables and of those who count them. */
export const DATABASE_SIZE_FAULTS: Record<string, Fault> = {
  'database-user-locked-out': {
    description: "The password of database-size's user was changed in the database only",
    deployment: 'emea',
    async strike({ store }) {
      await store?.pool.query(`ALTER ROLE emea_database_size PASSWORD 'Somebody-changed-1t'`);
    },
    expected: { outcomes: { 'database-size': ['failed'] }, alarms: ['emea-database-size-failed'] },
  },
  'too-many-messages': {
    description: 'Garbage collection succeeds, and leaves 2.5 million messages that are no garbage',
    deployment: 'emea',
    async strike({ store }, { clock }) {
      await store?.fill({ pending: 2_500_000, newest: clock.now() });
    },
    expected: { outcomes: {}, alarms: ['emea-database-size-wa1-large'] },
  },
  'gc-does-nothing': {
    description:
      'Each GC says that it is complete and deletes nothing: the third night notices it by the rows',
    deployment: 'emea',
    async strike({ store, webApp }, { clock }) {
      if (!store) return;
      webApp.faults.deletesNothing = true;
      // Of one size in large and small nights: no other alarm is to ring.
      await store.pool.query('TRUNCATE messages');
      await store.fill({ sent: 10_000, newest: clock.now() });
      // As the server itself does sooner or later.
      await store.pool.query('ANALYZE messages');
      for (const day of [1, 2])
        clock.at(clock.now() + day * 24 * HOUR, () => store.fill({ sent: 5_000, newest: clock.now() }));
    },
    expected: {
      outcomes: { 'message-gc': ['succeeded', 'succeeded', 'failed'] },
      alarms: ['emea-message-gc-failed'],
    },
    lasts: 54 * HOUR,
  },
};
