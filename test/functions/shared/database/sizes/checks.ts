import assert from 'node:assert/strict';
import type { RowEstimate, SizeReader } from '../../../../../functions/shared/database/contract/sizes.ts';
import { sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { MESSAGES, type SizedServer } from './servers.ts';

export function reader(server: SizedServer): Promise<SizeReader> {
  return sizeReader(server.address);
}

/** Asks for the size of `messages` and shows, by the server's counters, that no row was read for it. */
export async function sizeWithoutReading(server: SizedServer) {
  const before = await server.rowsRead();
  const size = await (await reader(server)).table(server.login, MESSAGES);
  assert.equal((await server.rowsRead()) - before, 0, 'rows of the table were read');
  return size;
}

/** The counters of {@link sizeWithoutReading} would have shown a scan. */
export async function assertScansShow(server: SizedServer, rows: number): Promise<void> {
  const before = await server.rowsRead();
  await server.run(`SELECT count(*) FROM messages WHERE body <> 'x'`);
  assert.ok((await server.rowsRead()) - before >= rows, 'the counters do not show a scan');
}

export function assertWithin(estimate: RowEstimate, truth: number): void {
  assert.equal(estimate.kind, 'estimate');
  if (estimate.kind !== 'estimate') return;
  const { atLeast, atMost, rows } = estimate;
  assert.ok(atLeast <= truth && truth <= atMost, `${truth} is not within ${atLeast} to ${atMost} (${rows})`);
  assert.ok(atLeast <= rows && rows <= atMost);
}

export function assertUnknown(estimate: RowEstimate, reason: RegExp): void {
  assert.equal(estimate.kind, 'unknown');
  if (estimate.kind === 'unknown') assert.match(estimate.reason, reason);
}

/** Does something while a session holds the table's strongest lock. Ends before the lock does, or never. */
export async function underLock<T>(server: SizedServer, work: () => Promise<T>): Promise<T> {
  const release = await server.lock();
  try {
    return await work();
  } finally {
    await release();
  }
}

/** What is answered, and each statement that an answer, or an error in its place, says an administrator is to make. */
export async function grantsAndAnswers(
  asked: readonly Promise<unknown>[],
): Promise<{ answers: unknown[]; grants: string[] }> {
  const settled = await Promise.allSettled(asked);
  const answers = settled.map((each) => (each.status === 'fulfilled' ? each.value : String(each.reason)));
  const grants = new Set<string>();
  for (const answer of answers)
    for (const [grant] of JSON.stringify(answer)
      .replaceAll('\\"', '"')
      .replaceAll('\\\\', '\\')
      .matchAll(
        /(?:GRANT [A-Z_a-z]+ .*? TO ("[^"]+"|\w+(?:@'[^']+')?)|GRANT pg_\w+ TO "\w+"|ALTER ROLE "\w+" BYPASSRLS)/g,
      ))
      grants.add(grant);
  return { answers, grants: [...grants] };
}
