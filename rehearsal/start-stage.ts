import { rmSync } from 'node:fs';
import { startClientDatabases, startClientMysql } from './client-databases.ts';
import { synthesize } from './synthesize.ts';
import type { WorldOptions } from './world.ts';

/** What a world of the sample deployments stands on. */
export interface Stage extends Pick<WorldOptions, 'cdkOut' | 'postgres' | 'mysql'> {
  /** Why there is no MySQL, where there is none. */
  withoutMysql: string | undefined;
  close(): Promise<void>;
}

/** Synthesizes the sample, and starts the database servers. */
export async function startStage(): Promise<Stage> {
  const [postgres, found, cdkOut] = await Promise.all([
    startClientDatabases(),
    startClientMysql(),
    synthesize(),
  ]);
  const mysql = typeof found === 'string' ? undefined : found;
  return {
    cdkOut,
    postgres,
    mysql,
    withoutMysql: typeof found === 'string' ? found : undefined,
    async close() {
      rmSync(cdkOut, { recursive: true });
      await Promise.all([postgres.stop(), mysql?.stop()]);
    },
  };
}
