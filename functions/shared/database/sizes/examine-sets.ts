import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ExaminationFinding } from '../../run/examination.ts';
import { type Answer, measureSet, type SetToMeasure } from './measure-set.ts';

/** Whether the sizes of some tables could be told: by asking for them. Logs in as the job does, and reads no row. */
export async function examineSets(
  sets: readonly (SetToMeasure & { name: string })[],
  context: DurableContext,
): Promise<ExaminationFinding[]> {
  const findings: ExaminationFinding[] = [];
  for (const set of sets)
    findings.push(...(await context.step(`examine ${set.name}`, () => findingsOf(set))));
  return findings;
}

async function findingsOf(set: SetToMeasure & { name: string }): Promise<ExaminationFinding[]> {
  const { host, port } = set.database;
  const of = `${set.name} on ${host}:${port}`;
  const asked = await measureSet(set).catch(
    (error: unknown): Answer<never> => ({
      kind: 'not-told',
      error: error instanceof Error ? error.message : String(error),
    }),
  );
  if (asked.kind === 'not-told') return [failed(of, asked.error, set.secretArn)];
  const refused = asked.value.tables.flatMap((table) =>
    table.kind === 'not-told' ? [failed(of, table.error, set.secretArn)] : [],
  );
  if (refused.length > 0) return refused;
  return [{ of, status: 'ok', saw: `The sizes of ${set.tables.length} tables are told.` }];
}

function failed(of: string, saw: string, secretArn: string): ExaminationFinding {
  const [, grant] = /An administrator grants it: (.*)$/.exec(saw) ?? [];
  return {
    of,
    status: 'failed',
    saw,
    mend:
      grant ??
      `aws secretsmanager describe-secret --secret-id ${secretArn}   # is that the user; do the database's security group and certificate agree with the configuration?`,
  };
}
