/**
 * One deployment as large as any may become: a night of 5,000 containers and 200 nodes that collect garbage; the size of a table of 100 million
 * rows, by the engines' own estimates, against `COUNT(*)`; and a million unread messages of 1,000 customers.
 *
 *     node bench/scale.ts [nights] [rows-postgres] [rows-mysql] [rows-mariadb] [messages]     @default all of them: hours
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { assertWithin, reader, sizeWithoutReading } from '../test/functions/shared/database/sizes/checks.ts';
import {
  MARIADB,
  MESSAGES,
  MYSQL,
  type SizedServer,
  startSizedInnodb,
  startSizedPostgres,
} from '../test/functions/shared/database/sizes/servers.ts';
import { playMonth } from '../test/rehearsal/soak/month.ts';
import { tell } from './figures.ts';

/** `BENCH_ROWS` is for a trial of the bench itself. */
const ROWS = Number(process.env.BENCH_ROWS ?? 100_000_000);
const CONTAINERS = { webapp: 100, coreapp: 4_900 };
const NODES = 200;
const UNREAD = { messages: 1_000_000, customers: 1_000 };

const INNODB_PREPARATION = ['ANALYZE TABLE messages', "GRANT SELECT (id) ON messages TO size@'%'"];

const PARTS = {
  nights,
  'rows-postgres': () =>
    rows('postgres', () => startSizedPostgres(ROWS), [
      'ANALYZE messages',
      'GRANT SELECT (id) ON messages TO size',
    ]),
  'rows-mysql': () => rows('mysql', () => startSizedInnodb(MYSQL, ROWS), INNODB_PREPARATION),
  'rows-mariadb': () => rows('mariadb', () => startSizedInnodb(MARIADB, ROWS), INNODB_PREPARATION),
  messages,
};
const named = process.argv.slice(2);
for (const [name, part] of Object.entries(PARTS))
  if (named.length === 0 || named.includes(name)) await part();

async function nights(): Promise<void> {
  const began = performance.now();
  const { mismatches } = await playMonth({
    deployments: 1,
    nights: 1,
    size: { ...CONTAINERS, nodes: NODES },
  });
  for (const mismatch of mismatches) console.log(`✖ ${mismatch}`);
  console.log(`A night of 5,000 containers and ${NODES} nodes: ${secondsSince(began)} s`);
  tell({
    bench: 'scale',
    what: `a night of one deployment with 5,000 containers and ${NODES} nodes`,
    rival: 'none',
    value: mismatches.length,
    unit: 'mismatches',
    goal: { atMost: 0 },
  });
  assert.deepEqual(mismatches, []);
}

async function rows(
  engine: string,
  start: () => Promise<SizedServer>,
  preparation: readonly string[],
): Promise<void> {
  let began = performance.now();
  const server = await start();
  try {
    console.log(`${ROWS} rows were written on ${engine} in ${secondsSince(began)} s`);
    for (const statement of preparation) await server.run(statement);
    began = performance.now();
    const { rows: estimate, ...others } = await sizeWithoutReading(server);
    const size = performance.now() - began;
    assertWithin(estimate, ROWS);
    began = performance.now();
    const counted = await (await reader(server)).count(server.login, MESSAGES, 1_800_000);
    const count = performance.now() - began;
    console.log(
      JSON.stringify({ estimate, ...others, counted, sizeMilliseconds: size, countMilliseconds: count }),
    );
    tell({
      bench: 'scale',
      what: `the size of a table of ${ROWS.toLocaleString('en')} rows on ${engine}, no row read`,
      rival: 'COUNT(*)',
      value: size / count,
    });
  } finally {
    await server.stop();
  }
}

/** In a process of its own: what it measures is that process's memory. */
async function messages(): Promise<void> {
  const { messages, customers } = UNREAD;
  execFileSync(process.execPath, ['bench/marking-read.ts', String(messages), String(customers)], {
    stdio: 'inherit',
  });
}

function secondsSince(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(0);
}
