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

/**
 * Synthesizes the sample, and starts the database servers.
 *
 * @param databases PostgreSQL's replicas may stream where that is said; MariaDB may take MySQL's place
 */
export async function startStage({
  streams = false,
  engine = 'mysql',
}: {
  streams?: boolean;
  engine?: NonNullable<WorldOptions['mysql']>['engine'];
} = {}): Promise<Stage> {
  const [postgres, found, cdkOut] = await Promise.all([
    startClientDatabases({ streams }),
    startClientMysql(engine),
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
