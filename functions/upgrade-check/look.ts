import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { ECSClient, type Service } from '@aws-sdk/client-ecs';
import { describeServices, whyUnsteady } from '../shared/containers/services.ts';
import type { LargestTable } from '../shared/database/contract/sizes.ts';
import {
  type Answer,
  countTable,
  largestTable,
  longestCount,
  measureSet,
} from '../shared/database/sizes/measure-set.ts';
import { tryAgain } from '../shared/database/sizes/try-again.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import { withTimeLeft } from '../shared/run/time-left.ts';
import { begunRuns, recentRuns, runningRun } from './cleaning-runs.ts';
import type { CheckedSet, UpgradeCheckOptions, UpgradeCheckSettings } from './contract.ts';
import {
  cleaningFinding,
  type Finding,
  quietFinding,
  type RowsKnown,
  rangeOf,
  rowsFindings,
  type ServiceState,
  servicesFinding,
} from './criteria.ts';
import { freeSpaceOf } from './free-space.ts';
import { spaceFinding } from './space-finding.ts';

/** What a look at everything found. */
export interface Look {
  /** ISO 8601. */
  at: string;
  findings: Finding[];
  /** The rows that a table has at the most, by its figure: of several sets, of the one that may have most. */
  rowsAtMost: Record<string, number>;
  /** All rows that the tables which the cleaning job makes smaller have at the most; undefined where it is unknown of one. */
  rowsToClean: number | undefined;
}

const HOUR_MS = 3600 * 1000;

const ecs = namingErrors(new ECSClient({ requestHandler: REQUEST_LIMITS }));

/** Looks at everything that an upgrade asks for, and changes nothing. */
export async function look(
  settings: UpgradeCheckSettings,
  { exactCount, endBy }: Pick<UpgradeCheckOptions, 'exactCount'> & { endBy: number },
  context: DurableContext,
): Promise<Look> {
  const rows: RowsKnown[] = [];
  const largest = new Map<string, Answer<LargestTable>[]>();
  for (const set of settings.sets) {
    rows.push(...(await rowsOf(set, exactCount && { ...exactCount, endBy }, context)));
    const asked = await tryAgain(context, `largest table of ${set.name}`, () =>
      largestTable(set, set.databases),
    );
    largest.set(set.database.host, [...(largest.get(set.database.host) ?? []), asked]);
  }
  const { cleaning, services } = settings;
  // Before the list of the cleaning job's: a run that ends in between is in that, with how it ended.
  const running = await ask(context, 'runs that go on', () => runsThatGoOn(settings));
  const now = await context.step('time', async () => Date.now());
  const runs = cleaning
    ? await ask(context, `runs of ${cleaning.job}`, () =>
        recentRuns(cleaning, { from: now - cleaning.maximumAgeHours * HOUR_MS }),
      )
    : undefined;
  const states = services ? await ask(context, 'services', () => statesOf(services)) : undefined;
  const spaces: Finding[] = [];
  for (const [host, tables] of largest) {
    const engine = settings.sets.find(({ database }) => database.host === host)?.database.engine;
    const identifier = settings.storage.find((storage) => storage.host === host)?.identifier;
    const free =
      engine && identifier
        ? await context.step(`free space of ${host}`, () => freeSpaceOf(engine, identifier))
        : undefined;
    spaces.push(spaceFinding({ host, largest: tables, spaces: free }, settings));
  }
  return {
    at: new Date(now).toISOString(),
    findings: [
      ...rowsFindings(rows, settings),
      cleaningFinding(runs, settings, now),
      quietFinding(running, runs, settings),
      servicesFinding(states, settings),
      ...spaces,
    ],
    rowsAtMost: rowsAtMostOf(rows),
    rowsToClean: rowsToClean(rows, settings),
  };
}

/** Of Lambda's list and of start-run's ledger: the one may not have a run yet, the other none that was begun past start-run. */
async function runsThatGoOn(settings: UpgradeCheckSettings): Promise<string[]> {
  const listed = await Promise.all(settings.otherJobs.map(runningRun));
  const begun = await begunRuns(settings);
  const runIds = begun.flatMap(({ job, runId }) => (settings.readingJobs.includes(job) ? [] : runId));
  return [...new Set([...listed.flatMap((runId) => runId ?? []), ...runIds])];
}

async function rowsOf(
  set: CheckedSet,
  exactCount: { timeLimitSeconds: number; endBy: number } | undefined,
  context: DurableContext,
): Promise<RowsKnown[]> {
  const asked = await tryAgain(context, `measure ${set.name}`, () => timed(() => measureSet(set)));
  const rows: RowsKnown[] = [];
  for (const [index, table] of set.tables.entries()) {
    const measured =
      asked.kind === 'not-told'
        ? asked
        : (asked.value.seen.tables[index] ?? { kind: 'not-told' as const, error: 'It was not looked for.' });
    const count =
      exactCount && measured.kind === 'told'
        ? await tryAgain(context, `count ${table.table} of ${set.name}`, () =>
            timed(() =>
              withTimeLeft(context, longestCount(exactCount), () => countTable(set, table, exactCount)),
            ),
          )
        : undefined;
    const isCounted = count?.kind === 'told' && count.value.seen.kind === 'counted';
    const seen = isCounted ? count : asked;
    rows.push({
      set,
      table,
      measured,
      count: count?.kind === 'told' ? { kind: 'told', value: count.value.seen } : count,
      ...(seen.kind === 'told' && { seenAt: new Date(seen.value.at).toISOString() }),
    });
  }
  return rows;
}

/** With when it was asked, in epoch milliseconds: a count before or after it may take minutes. */
async function timed<T>(work: () => Promise<Answer<T>>): Promise<Answer<{ seen: T; at: number }>> {
  const at = Date.now();
  const answer = await work();
  return answer.kind === 'told' ? { kind: 'told', value: { seen: answer.value, at } } : answer;
}

function rowsToClean(rows: readonly RowsKnown[], { cleaning }: UpgradeCheckSettings): number | undefined {
  const ranges = rows.filter(({ table }) => cleaning?.tables.includes(table.table)).map(rangeOf);
  const known = ranges.flatMap((range) => (range && range.atMost < Number.MAX_SAFE_INTEGER ? range : []));
  if (known.length === 0 || known.length < ranges.length) return undefined;
  return known.reduce((sum, { atMost }) => sum + atMost, 0);
}

/** Left out where it is unknown of a set. */
function rowsAtMostOf(rows: readonly RowsKnown[]): Record<string, number> {
  const most: Record<string, number> = {};
  for (const figure of new Set(rows.map(({ table }) => table.figure))) {
    const ranges = rows.filter(({ table }) => table.figure === figure).map(rangeOf);
    if (ranges.every((range) => range !== undefined))
      most[figure] = Math.max(...ranges.map(({ atMost }) => atMost));
  }
  return most;
}

async function statesOf({
  clusterArn,
  names,
}: NonNullable<UpgradeCheckSettings['services']>): Promise<ServiceState[]> {
  const services = await describeServices(
    ecs,
    names.map((name) => ({ clusterArn, name })),
  );
  return services.map(stateOf);
}

/** rolloutState is told of rolling updates only (SDK, `Deployment`): of others this does not show whether they are over. */
function stateOf(service: Service): ServiceState {
  const reason = whyUnsteady(service);
  if (reason) return { kind: 'unsteady', reason };
  const { serviceName: name = '', desiredCount: tasks = 0 } = service;
  if (tasks === 0)
    return {
      kind: 'not-told',
      reason: `${name} is scaled to nothing (it wants 0 tasks), so that nothing shows whether it works.`,
    };
  return service.deployments?.length === 1 && service.deployments[0]?.rolloutState === 'COMPLETED'
    ? { kind: 'steady', name, tasks }
    : { kind: 'not-told', reason: `ECS does not tell whether ${service.serviceName}'s deployment is over.` };
}

/** Asks once, in a durable step; an error is an answer too. */
function ask<T>(context: DurableContext, name: string, work: () => Promise<T>): Promise<Answer<T>> {
  return context.step(name, async (): Promise<Answer<T>> => {
    try {
      return { kind: 'told', value: await work() };
    } catch (error) {
      return { kind: 'not-told', error: error instanceof Error ? error.message : String(error) };
    }
  });
}
