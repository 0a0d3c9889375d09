import { rmSync } from 'node:fs';
import { startClientDatabases, startClientMysql } from '../../rehearsal/client-databases.ts';
import type { Scale } from '../../rehearsal/clients.ts';
import type { DatabaseServer } from '../../rehearsal/databases/mysql-family.ts';
import type { Postgres } from '../../rehearsal/databases/postgres.ts';
import { synthesize } from '../../rehearsal/synthesize.ts';

/** What nights are played with. */
export interface Stage {
  cdkOut: string;
  postgres: Postgres;
  /** Started when it is first asked for, or a MariaDB in its place. A text: why there is none, outside CI. */
  startMysql(engine?: DatabaseServer['engine']): Promise<DatabaseServer | string>;
  /** Few rows: what is tested is the course of the night. */
  scale: Scale;
  close(): Promise<void>;
}

/**
 * Starts one PostgreSQL for a file of tests, and synthesizes once: a run of all tests has done so for all files, and names
 * the folder.
 */
export async function buildStage(): Promise<Stage> {
  const { SYNTHESIZED: shared } = process.env;
  const [postgres, cdkOut] = await Promise.all([
    startClientDatabases({ streams: true }),
    shared ?? synthesize(),
  ]);
  const started = new Map<DatabaseServer['engine'], ReturnType<typeof startClientMysql>>();
  return {
    cdkOut,
    postgres,
    startMysql(engine = 'mysql') {
      const server = started.get(engine) ?? startClientMysql(engine);
      started.set(engine, server);
      return server;
    },
    scale: { rows: 20_000, unread: 60, media: 200, loginPause: 3_000 },
    async close() {
      await postgres.stop();
      for (const starting of started.values()) {
        const server = await starting.catch(() => undefined);
        if (server && typeof server !== 'string') await server.stop();
      }
      if (shared === undefined) rmSync(cdkOut, { recursive: true });
    },
  };
}
