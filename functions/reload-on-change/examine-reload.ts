import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ExaminationFinding } from '../shared/run/examination.ts';
import type { Problem } from '../shared/run/report.ts';
import type { ReloadOnChangeSettings } from './contract.ts';
import { type Clients, type Look, lookAround, type ServiceLook } from './look.ts';
import { missingProblem, pinnedProblem, placeOf, unreadableProblem } from './problems.ts';

/** Whether a run could see what is watched, and replace the tasks of each service. */
export async function examineReload(
  settings: ReloadOnChangeSettings,
  clients: Clients,
  context: DurableContext,
): Promise<ExaminationFinding[]> {
  const look = await context.step('look at what is watched', () => lookAround(settings, clients));
  return [
    ...settings.watched.map(({ name }): ExaminationFinding => {
      const of = placeOf(settings, name);
      const why = look.unreadable[name];
      if (why !== undefined) return problemFinding(of, unreadableProblem(settings, name, why));
      return { of, status: 'ok', saw: `Its versions can be seen; its value cannot.` };
    }),
    ...look.services.flatMap((service) => findingsOf(settings, service, look)),
  ];
}

function findingsOf(
  settings: ReloadOnChangeSettings,
  service: ServiceLook,
  { versions }: Look,
): ExaminationFinding[] {
  const of = `service ${service.service.name}`;
  const { way } = service;
  const names = [...new Set(service.reads.map((read) => read.of))].join(', ');
  const reads = service.readsItself ? `taken to read ${names} by itself` : `given ${names}`;
  return [
    ...service.pinned.map((pinned) => problemFinding(of, pinnedProblem(settings, service, pinned, versions))),
    ...(service.missing ? [problemFinding(of, missingProblem(settings, service, service.missing))] : []),
    way.kind === 'refused'
      ? { of, status: 'failed', saw: way.reason, mend: way.next }
      : {
          of,
          status: 'ok',
          saw: `It is ${reads}. ${way.kind === 'forced' ? 'ECS would replace its tasks.' : 'Its tasks would be replaced one by one.'}`,
        },
  ];
}

function problemFinding(of: string, { what, next }: Problem): ExaminationFinding {
  return { of, status: 'failed', saw: what, mend: next };
}
