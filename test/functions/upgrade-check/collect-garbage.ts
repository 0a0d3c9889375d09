import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import pg from 'pg';
import type { Outcome } from '../../../functions/shared/run/report.ts';
import { runJob } from '../../../functions/shared/run/run-job.ts';

/** Its `UPKEEP_SETTINGS`. */
export interface CollectGarbageSettings {
  connection: { host: string; port: number; user: string; password: string; database: string };
}

/**
 * A job in the place of garbage collection: deletes rows of a real table, ten minutes after it began. The table `garbage`
 * says how many there are to delete in each run, and with which outcome the run ends.
 */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, async (_run, context) => {
    await context.wait('the client collects', { minutes: 10 });
    return context.step('collect', async () => {
      const settings: CollectGarbageSettings = JSON.parse(process.env.UPKEEP_SETTINGS ?? '');
      const client = new pg.Client(settings.connection);
      await client.connect();
      try {
        const { rows } = await client.query<{ outcome: Outcome; per_run: number }>('SELECT * FROM garbage');
        const [{ outcome = 'succeeded', per_run: perRun = 0 } = {}] = rows;
        const { rowCount } = await client.query(
          'DELETE FROM messages WHERE id IN (SELECT id FROM messages LIMIT $1)',
          [perRun],
        );
        await client.query('SELECT pg_stat_force_next_flush()');
        // As autovacuum does where it is on, after so large a part.
        await client.query('ANALYZE messages');
        return { outcome, figures: { messagesDeleted: rowCount ?? 0 }, problems: [] };
      } finally {
        await client.end();
      }
    });
  }),
);
