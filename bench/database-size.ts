/**
 * How long the size of a table takes, as database-size asks for it, against `COUNT(*)` of the same table in the same run:
 * 2.5 million rows in memory, no load beside it; both as a login of its own, connecting included. Where the table is not
 * in memory, only the count takes longer.
 *
 * Run: node bench/database-size.ts [mysql] [mariadb] [postgres]
 */
import { ServerUnavailable } from '../rehearsal/databases/server-program.ts';
import { reader } from '../test/functions/shared/database/sizes/checks.ts';
import {
  MARIADB,
  MESSAGES,
  MYSQL,
  ROWS,
  type SizedServer,
  startSizedInnodb,
  startSizedPostgres,
} from '../test/functions/shared/database/sizes/servers.ts';
import { IS_SHORT, median, tell } from './figures.ts';

const ROUNDS = 9;
const SERVERS: Record<string, () => Promise<SizedServer>> = {
  mysql: () => startSizedInnodb(MYSQL),
  mariadb: () => startSizedInnodb(MARIADB),
  postgres: startSizedPostgres,
};

const given = process.argv.slice(2);
const named = given.length === 0 && IS_SHORT ? ['postgres'] : given;
for (const [name, start] of Object.entries(SERVERS)) {
  if (named.length > 0 && !named.includes(name)) continue;
  try {
    await measure(name, await start());
  } catch (error) {
    if (!(error instanceof ServerUnavailable)) throw error;
    console.log(`${name}: ${error.message}`);
  }
}

async function measure(name: string, server: SizedServer): Promise<void> {
  try {
    const sizes = await reader(server);
    await server.run(
      name === 'postgres'
        ? 'GRANT SELECT (id) ON messages TO size'
        : "GRANT SELECT (id) ON messages TO size@'%'",
    );
    const estimates: number[] = [];
    const counts: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      estimates.push(await milliseconds(() => sizes.table(server.login, MESSAGES)));
      counts.push(await milliseconds(() => sizes.count(server.login, MESSAGES, 600_000)));
    }
    const [size, count] = [median(estimates), median(counts)];
    tell({
      bench: 'database-size',
      what: `the size of a table of ${ROWS} rows on ${name}`,
      rival: 'COUNT(*)',
      value: size / count,
    });
    console.log(
      `${name}: ${ROWS} rows; size ${size.toFixed(1)} ms (slowest ${Math.max(...estimates).toFixed(1)} ms), ` +
        `COUNT(*) ${count.toFixed(1)} ms: ${(count / size).toFixed(1)} times as long`,
    );
  } finally {
    await server.stop();
  }
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
