import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ExaminationFinding } from '../shared/run/examination.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { inspectDatabase } from './database.ts';
import { type Preflight, preflight } from './preflight.ts';

/** Whether a rotation could be begun and carried to the last container: what a run looks at before it changes anything. */
export async function examineRotation(
  settings: CredentialRotationSettings,
  clients: Parameters<typeof preflight>[2],
  context: DurableContext,
): Promise<ExaminationFinding[]> {
  const { host, port } = settings.database;
  const of = `database ${host}:${port}`;
  const database = await inspectDatabase(context, settings, clients.secretsManager);
  if (database.kind === 'failed') {
    const [, grant] = /An administrator grants it: (.*)$/.exec(database.message) ?? [];
    const mend =
      grant ??
      `aws secretsmanager describe-secret --secret-id ${settings.secretArn}   # is it what is said above?`;
    return [{ of, status: 'failed', saw: database.message, mend }];
  }
  const warnings = database.value.warnings.map(
    (saw): ExaminationFinding => ({ of, status: 'warning', saw, mend: 'See docs/credential-rotation.md.' }),
  );
  return [
    ...warnings,
    ...(warnings.length === 0
      ? [{ of, status: 'ok' as const, saw: 'The current credential logs in, and could be rotated.' }]
      : []),
    ...preflightFindings(await preflight(context, settings, clients)),
  ];
}

function preflightFindings({ plans, warnings, problems }: Preflight): ExaminationFinding[] {
  return [
    ...problems.map(
      ({ what, where, next }): ExaminationFinding => ({ of: where, status: 'failed', saw: what, mend: next }),
    ),
    ...warnings.map(
      (saw): ExaminationFinding => ({
        of: 'tasks of no service',
        status: 'warning',
        saw,
        mend: 'Stop it, or let it end, before the next rotation.',
      }),
    ),
    ...plans.map(
      ({ service, kind }): ExaminationFinding => ({
        of: `service ${service.name}`,
        status: 'ok',
        saw: kind === 'forced' ? 'ECS would replace its tasks.' : 'Its tasks would be replaced one by one.',
      }),
    ),
  ];
}
