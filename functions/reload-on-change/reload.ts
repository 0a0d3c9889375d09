import { type DurableContext, DurableOperationError } from '@aws/durable-execution-sdk-js';
import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { NewTasks, RolledResult, RollRequest } from '../shared/roll/roll-service.ts';
import { rollServices } from '../shared/roll/roll-services.ts';
import type { RollablePlan } from '../shared/roll/roll-way.ts';
import { waitForRuns } from '../shared/roll/wait-for-runs.ts';
import { waitUntilSteady } from '../shared/roll/wait-until-steady.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import type { Outcome, Problem } from '../shared/run/report.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import type { RunResult } from '../shared/run/run-job.ts';
import { type ReloadOnChangeSettings, STALE_HOURS_METRIC, WATCHED_DIMENSION } from './contract.ts';
import { type Clients, type Look, lookAround, type ServiceLook } from './look.ts';
import { othersBehind } from './others.ts';
import {
  missingProblem,
  othersProblem,
  pinnedProblem,
  refusedProblem,
  stillGoingOnProblem,
  stoppedProblem,
  unnotedProblem,
  unreadableProblem,
  unsteadyProblem,
  weariedProblem,
} from './problems.ts';
import { notedWith, type Seen, writeSeen } from './seen.ts';
import { type StaysUp, staysUp } from './stays-up.ts';

/** A version that comes while services are rolled is loaded in the same run; who changes more often is told so. */
const MOST_ROLLS = 3;
/** Durable operations of a run besides the roll's own, about: looks at what is watched, waits for steadiness and other runs. */
const OTHER_OPERATIONS = 200;
const HOUR = 3_600_000;

/** The names of looks at new tasks in the run's history. */
const LOOKS_AT: Record<NewTasks, (service: string) => string> = {
  all: (service) => `${service} stays up`,
  first: (service) => `the first of ${service} stays up`,
  earlier: (service) => `the new ones of ${service} stay up`,
};

interface Findings {
  problems: Problem[];
  rolled: RolledResult<StaysUp>[];
  /** The names of what has a version that no earlier run had seen. */
  isNew: Set<string>;
  /** Of everything, at last. */
  look: Look;
  isStopped: boolean;
}

/**
 * Looks whether what is watched has versions that not all tasks of the services have, and replaces the tasks of those that have
 * not. Where nothing is new nothing is touched.
 */
export async function reloadOnChange(
  run: RunEvent,
  context: DurableContext,
  settings: ReloadOnChangeSettings,
  clients: Clients & { lambda: LambdaClient },
): Promise<RunResult> {
  const { steadyTimeoutSeconds } = settings;
  const endBy = Date.parse(run.endBy);
  const findings: Findings = {
    problems: [],
    rolled: [],
    isNew: new Set(),
    look: await look(context, settings, clients, 1),
    isStopped: false,
  };
  await note(context, settings, clients, findings);
  if (rollable(findings.look).length > 0) {
    const latestBeginning = endBy - steadyTimeoutSeconds * 1000;
    const others = await waitForRuns(context, run.runsToWaitFor ?? [], clients.lambda, latestBeginning);
    if (others.kind === 'still-running')
      return skipped(run, context, findings, stillGoingOnProblem(settings, others.runs));
    const found = await context.step('look for others that read it', () =>
      othersBehind(clients.ecs, settings, findings.look.versions),
    );
    if (found.length > 0) findings.problems.push(othersProblem(settings, found));
  }
  for (let number = 1; !findings.isStopped && rollable(findings.look).length > 0; number++) {
    if (number > MOST_ROLLS) {
      findings.problems.push(weariedProblem(settings, rollable(findings.look)));
      break;
    }
    const unsteady = await waitUntilSteady(
      context,
      clients.ecs,
      concerned(findings.look).map(({ service }) => service),
      { timeoutSeconds: steadyTimeoutSeconds, endBy },
    );
    if (unsteady !== null) {
      if (number === 1) return skipped(run, context, findings, unsteadyProblem(settings, unsteady));
      findings.problems.push(unsteadyProblem(settings, unsteady));
      break;
    }
    await roll(context, settings, clients, { findings, endBy });
    findings.look = await look(context, settings, clients, number + 1);
    await note(context, settings, clients, findings);
  }
  return ended(run, context, settings, findings);
}

type Rollable = ServiceLook & { way: Exclude<ServiceLook['way'], { kind: 'refused' }> };

/** Those of which not all tasks have the latest version, and whose tasks can be replaced. */
function rollable({ services }: Pick<Look, 'services'>): Rollable[] {
  return services.filter(
    (service): service is Rollable => service.behind > 0 && service.way.kind !== 'refused',
  );
}

/**
 * With those that have it already and read the same, as where an earlier run has stopped: they are to stay up with it before
 * the next one gets it.
 */
function concerned({ services }: Look): Rollable[] {
  const changed = new Set(rollable({ services }).flatMap(({ behindIn }) => behindIn));
  return services.filter(
    (service): service is Rollable =>
      service.way.kind !== 'refused' && service.reads.some(({ of }) => changed.has(of)),
  );
}

function look(
  context: DurableContext,
  settings: ReloadOnChangeSettings,
  clients: Clients,
  number: number,
): Promise<Look> {
  return context.step(`look at what is watched ${number}`, () => lookAround(settings, clients));
}

/** Before anything is replaced: what a run that is cut off has seen, the next one knows. */
async function note(
  context: DurableContext,
  settings: ReloadOnChangeSettings,
  { ssm }: Clients,
  { look: { seen, versions, services }, isNew, problems }: Findings,
): Promise<void> {
  for (const [name, byLabel] of Object.entries(versions)) {
    const read = labelsRead(services, name);
    if (Object.entries(byLabel).some(([label, { isNew }]) => isNew && read.includes(label))) isNew.add(name);
  }
  const noted = notedWith(seen, versions, (name) => labelsRead(services, name));
  if (isSame(noted, seen)) return;
  try {
    await context.step('note what was seen', () => writeSeen(ssm, settings.seenParameter, noted));
  } catch (error) {
    if (!(error instanceof DurableOperationError)) throw error;
    problems.push(unnotedProblem(settings, error.message));
  }
}

function labelsRead(services: ServiceLook[], name: string): string[] {
  return services.flatMap(({ reads }) => reads.flatMap(({ of, label }) => (of === name ? label : [])));
}

function isSame(one: Seen, other: Seen): boolean {
  const sorted = (seen: Seen) =>
    Object.entries(seen)
      .flatMap(([name, byLabel]) =>
        Object.entries(byLabel).map(([label, { version, since, replaced }]) =>
          [name, label, version, since, replaced].join(' '),
        ),
      )
      .sort()
      .join('\n');
  return sorted(one) === sorted(other);
}

async function roll(
  context: DurableContext,
  settings: ReloadOnChangeSettings,
  { ecs }: Clients,
  { findings, endBy }: { findings: Findings; endBy: number },
): Promise<void> {
  const { steadyTimeoutSeconds, settleSeconds, job } = settings;
  const services = concerned(findings.look);
  const plans = services.map(({ service, way }): RollablePlan => ({ service, ...way }));
  const sinceOf = new Map(services.map(({ service, since }) => [service.name, since]));
  const request: RollRequest<RollablePlan, StaysUp> = {
    ecs,
    madeBefore: ({ name }) => sinceOf.get(name) ?? 0,
    steadyTimeoutSeconds,
    endBy,
    prove: (inContext, { service }, which) =>
      staysUp(inContext, LOOKS_AT[which](service.name), {
        ecs,
        service,
        settleSeconds,
        timeoutSeconds: steadyTimeoutSeconds,
        endBy,
      }),
    stopsAt: ({ isUp }) => !isUp,
    operations: { count: OTHER_OPERATIONS },
    words: {
      stopTask: `${job}: what it was given at its start has a new version`,
      oldTasks: 'Tasks with an earlier version still live:',
      oldTasksNext: 'Stop them, or look why ECS does not end them.',
    },
  };
  const { services: rolled, stopped } = await rollServices(context, plans, request);
  findings.rolled.push(...rolled);
  if (!stopped) return;
  findings.isStopped = true;
  const changed = new Set(rollable(findings.look).flatMap(({ behindIn }) => behindIn));
  const read = services
    .filter(({ service }) => stopped.services.includes(service.name))
    .flatMap(({ reads }) => reads.map(({ of }) => of));
  findings.problems.push(
    stoppedProblem(
      settings,
      stopped,
      [...changed].filter((name) => read.includes(name)),
    ),
  );
}

/** The end of a run that had to leave all as it is. */
async function skipped(
  run: RunEvent,
  context: DurableContext,
  findings: Findings,
  problem: Problem,
): Promise<RunResult> {
  await publishStaleHours(run, context, findings.look);
  return {
    outcome: 'skipped',
    figures: figuresOf(findings),
    problems: [problem],
    details: detailsOf(findings),
  };
}

async function ended(
  run: RunEvent,
  context: DurableContext,
  settings: ReloadOnChangeSettings,
  findings: Findings,
): Promise<RunResult> {
  const { look, problems, rolled } = findings;
  problems.push(
    ...Object.entries(look.unreadable).map(([name, why]) => unreadableProblem(settings, name, why)),
    ...look.services.flatMap((service) => [
      ...(service.missing
        ? [missingProblem(settings, service, service.missing)]
        : service.behind > 0 && service.way.kind === 'refused'
          ? [refusedProblem(settings, service, service.way)]
          : []),
      ...service.pinned.map((pinned) => pinnedProblem(settings, service, pinned, look.versions)),
    ]),
  );
  await publishStaleHours(run, context, look);
  return {
    outcome: outcomeOf(findings),
    figures: figuresOf(findings),
    problems,
    details: { ...detailsOf(findings), ...(rolled.length > 0 && { rolled }) },
  };
}

function outcomeOf({ isStopped, problems, look: { versions } }: Findings): Outcome {
  if (problems.length === 0) return 'succeeded';
  return isStopped || Object.keys(versions).length === 0 ? 'failed' : 'partial';
}

function figuresOf({ isNew, rolled, look: { services } }: Findings): Record<string, number> {
  return {
    newVersions: isNew.size,
    servicesReloaded: rolled.filter(({ outcome }) => outcome === 'rolled').length,
    tasksReplaced: rolled.reduce((sum, { tasksReplaced }) => sum + tasksReplaced, 0),
    tasksBehind: services.reduce((sum, { behind }) => sum + behind, 0),
  };
}

function detailsOf({ look: { versions, services }, isNew }: Findings): Record<string, unknown> {
  return {
    watched: Object.entries(versions).map(([name, byLabel]) => ({
      name,
      isNew: isNew.has(name),
      versions: Object.entries(byLabel)
        .filter(([label]) => labelsRead(services, name).includes(label))
        .map(([label, { version, since }]) => ({ label, version, since: new Date(since).toISOString() })),
    })),
    services: services.map(({ service, reads, readsItself, tasks, behind, behindIn }) => ({
      service: service.name,
      reads: [...new Set(reads.map(({ of }) => of))],
      by: readsItself ? 'itself' : 'task definition',
      tasks,
      behind,
      ...(behindIn.length > 0 && { behindIn }),
    })),
  };
}

/** For how long a version has been in use that not all tasks have which read it. */
function publishStaleHours(
  { deployment, job }: RunEvent,
  context: DurableContext,
  look: Look,
): Promise<void> {
  return context.step('publish the metric of each that is watched', async () => {
    for (const [name, hours] of Object.entries(staleHours(look)))
      publishMetrics({ deployment, job, [WATCHED_DIMENSION]: name }, { [STALE_HOURS_METRIC]: hours });
  });
}

function staleHours({ versions, services, at }: Look): Record<string, number> {
  return Object.fromEntries(
    Object.entries(versions).map(([name, byLabel]) => {
      const stale = services.flatMap(({ reads, behindIn, pinned }) => [
        ...reads.filter(({ of }) => of === name && behindIn.includes(of)).map(({ label }) => byLabel[label]),
        ...pinned
          .filter(({ of, version }) => of === name && version !== byLabel.AWSCURRENT?.version)
          .map(() => byLabel.AWSCURRENT),
      ]);
      const since = Math.min(at, ...stale.map((version) => version?.since ?? at));
      return [name, Math.round(((at - since) / HOUR) * 10) / 10];
    }),
  );
}
