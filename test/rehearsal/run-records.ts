import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { World } from '../../rehearsal/world.ts';

/** What the largest run of a job left on record. */
export interface RunRecord {
  /** As Lambda meters them: each retry and each look for a condition is one. */
  operations: number;
  /** Bytes of an operation's result. */
  largest: number;
  /** Characters of an operation's name. */
  longestName: number;
}

/** Of a night's runs, by job. */
export function runRecords({ aws }: Pick<World, 'aws'>): Record<string, RunRecord> {
  const records: Record<string, RunRecord> = {};
  for (const { arn, counted, operations } of aws.lambda.durable.list()) {
    // arn:aws:lambda:REGION:ACCOUNT:function:DEPLOYMENT-JOB:…
    const job = (arn.split(':')[6] ?? '').replace(/^[a-z]+-/, '');
    const sizes = operations.map(({ StepDetails: step, ContextDetails: context }) =>
      Buffer.byteLength(step?.Result ?? context?.Result ?? ''),
    );
    // The first one is the execution itself, named as the run is.
    const names = operations.slice(1).map(({ Name: name = '' }) => name.length);
    const before = records[job] ?? { operations: 0, largest: 0, longestName: 0 };
    records[job] = {
      operations: Math.max(before.operations, counted),
      largest: Math.max(before.largest, ...sizes),
      longestName: Math.max(before.longestName, 0, ...names),
    };
  }
  return records;
}

/** docs/operations.md says of each job what its runs leave on record in the rehearsal, at most, and not much more than there is. */
export function assertDocumented(records: Record<string, RunRecord>): void {
  const documented = readFileSync('docs/operations.md', 'utf8').split('\n');
  for (const [job, record] of Object.entries(records)) {
    const row = documented.find((line) => line.startsWith(`| ${job} |`));
    const [operations = 0, largest = 0, longestName = 0] = (row ?? '').split('|').slice(2, 5).map(Number);
    const said = `${job}: ${JSON.stringify(record)}, documented ${row}`;
    assert.ok(
      record.operations <= operations && record.largest <= largest && record.longestName <= longestName,
      said,
    );
    assert.ok(operations <= 2 * record.operations, said);
  }
}
