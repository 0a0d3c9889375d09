import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startClientDatabases } from '../../rehearsal/client-databases.ts';
import type { Postgres } from '../../rehearsal/databases/postgres.ts';
import type { Scale } from '../../rehearsal/night.ts';
import { synthesize } from '../../rehearsal/synthesize.ts';

/** What nights are played with. */
export interface Stage {
  cdkOut: string;
  postgres: Postgres;
  /** Few rows: what is tested is the course of the night. */
  scale: Scale;
  close(): Promise<void>;
}

/** Synthesizes once and starts one PostgreSQL for a file of tests. */
export async function buildStage(): Promise<Stage> {
  const cdkOut = mkdtempSync(join(tmpdir(), 'cdk.out-'));
  const [postgres] = await Promise.all([startClientDatabases(), synthesize(cdkOut)]);
  return {
    cdkOut,
    postgres,
    scale: { rows: 20_000, unread: 60, media: 200 },
    async close() {
      await postgres.stop();
      rmSync(cdkOut, { recursive: true });
    },
  };
}
