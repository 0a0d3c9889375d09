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
  /** Started when it is first asked for. A text: why there is none, outside CI. */
  startMysql(): Promise<DatabaseServer | string>;
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
  const [postgres, cdkOut] = await Promise.all([startClientDatabases(), shared ?? synthesize()]);
  let mysql: ReturnType<typeof startClientMysql> | undefined;
  return {
    cdkOut,
    postgres,
    startMysql() {
      mysql ??= startClientMysql();
      return mysql;
    },
    scale: { rows: 20_000, unread: 60, media: 200, loginPause: 3_000 },
    async close() {
      await postgres.stop();
      const started = await mysql?.catch(() => undefined);
      if (started && typeof started !== 'string') await started.stop();
      if (shared === undefined) rmSync(cdkOut, { recursive: true });
    },
  };
}
