import type { RunReport } from '../../functions/shared/run/report.ts';
import type { Run } from '../deployments.ts';
import { alarmText, lineEach, localTime, okText, outcomeText, table } from '../output.ts';

const DAY_MS = 24 * 3600_000;
/** Of the line of a deployment, on however narrow a terminal: its name, its jobs, its alarms. */
const KEPT_COLUMNS = 3;
/** Of a report's figures, in the table. */
const SHOWN_FIGURES = 3;
/** What was counted longer ago is shown with its day: of a daily job, a night or two were left out. */
const OLD_DAYS = 3;
/** Of a moment as it is shown: `2026-11-25`. */
const DAY_CHARACTERS = 10;

/** One job of a deployment: what `status` says of it. */
export interface JobStatus {
  deployment: string;
  job: string;
  last: Pick<Run, 'runId' | 'status' | 'startedAt' | 'endedAt'> | undefined;
  report: RunReport | undefined;
  /** The last one before it that has ended and was not skipped, where it goes on or was skipped itself. */
  before?: Run;
  /** Undefined: the job has no schedule, or it is switched off. */
  next: Date | undefined;
  schedule: 'enabled' | 'disabled' | 'none';
}

/** A deployment: what `status` says of it. */
export interface DeploymentStatus {
  deployment: string;
  timeZone: string;
  jobs: JobStatus[];
  alarms: { name: string; since: Date | undefined; console: string; means: string }[];
  /** Why starts that failed could not be looked for, if they could not. */
  notLookedAt?: string;
}

/** All of it for a person: of several deployments a line each, and what is wrong with any. */
export function textOf(
  found: DeploymentStatus[],
  { quiet, jobs, now, columns }: { quiet: boolean; jobs: boolean; now: Date; columns?: number },
): string {
  const isOverview = found.length > 1 && !jobs && !quiet;
  const lines = [
    ...(isOverview ? [overviewOf(found, now, columns)] : []),
    ...jobLines(found, quiet || isOverview, columns),
    ...(isOverview || quiet ? [] : found.flatMap((each) => standingLine(each, now))),
    ...found.flatMap(alarmLines),
    ...found.flatMap(({ deployment, notLookedAt: why }) => (why ? [`${deployment}: ${why}`] : [])),
  ];
  if (lines.length === 0) lines.push('Nothing is wrong.');
  return `${lines.join('\n')}\n`;
}

function overviewOf(found: DeploymentStatus[], now: Date, columns: number | undefined): string {
  return lineEach(
    ['deployment', 'jobs', 'alarms', 'last run', 'next run', 'rows', 'credential'],
    found.map((each) => {
      const { deployment, timeZone, jobs, alarms } = each;
      const wrong = jobs.filter(isWrong).length;
      const last = latest(jobs.flatMap(({ last: run }) => run?.startedAt ?? []));
      const [next] = jobs
        .flatMap((job) => job.next ?? [])
        .toSorted((one, other) => Number(one) - Number(other));
      return [
        deployment,
        wrong > 0 ? alarmText(`${wrong} of ${jobs.length} wrong`) : okText(`${jobs.length} well`),
        alarms.length > 0 ? alarmText(`${alarms.length} ${alarms.length === 1 ? 'rings' : 'ring'}`) : '-',
        last ? localTime(last, timeZone) : '-',
        next ? localTime(next, timeZone) : '-',
        rowsOf(each, now) || '-',
        ageOf(jobs, now) ?? '-',
      ];
    }),
    KEPT_COLUMNS,
    columns,
  );
}

function jobLines(found: DeploymentStatus[], onlyWrong: boolean, columns: number | undefined): string[] {
  const rows = found.flatMap(({ deployment, timeZone, jobs }) =>
    jobs
      .filter((status) => !onlyWrong || isWrong(status))
      .map((status) => [
        deployment,
        status.job,
        status.last ? localTime(status.last.startedAt, timeZone) : '-',
        outcomeOf(status),
        nextText(status, timeZone),
        figuresOf(status.report),
      ]),
  );
  return rows.length > 0
    ? [table(['deployment', 'job', 'last run', 'outcome', 'next run', 'figures'], rows, columns)]
    : [];
}

/** Rows and the credential's age, of a deployment that has either. */
function standingLine(status: DeploymentStatus, now: Date): string[] {
  const { deployment, jobs } = status;
  const rows = rowsOf(status, now);
  const age = ageOf(jobs, now);
  const words = [...(rows ? [rows] : []), ...(age === undefined ? [] : [`credential ${age} old`])];
  return words.length > 0 ? [`${deployment}: ${words.join(', ')}`] : [];
}

function alarmLines({ alarms, timeZone }: DeploymentStatus): string[] {
  return alarms.map(
    ({ name, since, console: address }) =>
      `${alarmText(name)} rings${since ? ` since ${localTime(since, timeZone)}` : ''}\n  ${address}`,
  );
}

/** How a job is: of one that goes on or was skipped also how the one before it ended, if that was not well. */
function outcomeOf(status: JobStatus): string {
  // Lambda forgets a run some weeks after its end.
  if (!status.last) return 'no run known';
  const { before } = status;
  const state = stateOf({ ...status.last, report: status.report });
  return before && isBad(before) ? `${state}, ${stateOf(before)} before` : state;
}

/** The reports that tell how a job is, the newest first. */
function reportsOf({ report, before }: JobStatus): RunReport[] {
  return [report, before?.report].filter((each) => each !== undefined);
}

/** Of each figure that counts rows, as the report that has it last says: `messageRows 97,776`; with its day, where that is not of these days. */
function rowsOf({ jobs, timeZone }: Pick<DeploymentStatus, 'jobs' | 'timeZone'>, now: Date): string {
  const rows = new Map<string, { value: number; at: number }>();
  for (const report of jobs.flatMap(reportsOf))
    for (const [name, value] of Object.entries(report?.figures ?? {})) {
      const at = Date.parse(report?.endedAt ?? '');
      if (/Rows$/.test(name) && at > (rows.get(name)?.at ?? 0)) rows.set(name, { value, at });
    }
  return [...rows]
    .map(([name, { value, at }]) => {
      const isOld = now.getTime() - at > OLD_DAYS * DAY_MS;
      const day = isOld ? ` (${localTime(new Date(at), timeZone).slice(0, DAY_CHARACTERS)})` : '';
      return `${name} ${value.toLocaleString('en-US')}${day}`;
    })
    .join(', ');
}

/** Of the oldest credential that a job tells the age of, now. */
function ageOf(jobs: JobStatus[], now: Date): string | undefined {
  const ages = jobs.flatMap((status) => {
    const report = reportsOf(status).find(({ figures }) => figures.credentialAgeDays !== undefined);
    if (!report) return [];
    return (report.figures.credentialAgeDays ?? 0) + (now.getTime() - Date.parse(report.endedAt)) / DAY_MS;
  });
  if (ages.length === 0) return undefined;
  const days = Math.max(0, Math.floor(Math.max(...ages)));
  return `${days} ${days === 1 ? 'day' : 'days'}`;
}

function latest(moments: Date[]): Date | undefined {
  return moments.toSorted((one, other) => Number(other) - Number(one))[0];
}

/** Whether somebody should look at a job. */
export function isWrong({ last, report, before, schedule }: JobStatus): boolean {
  if (schedule === 'disabled') return true;
  return [last && { ...last, report }, before].some((run) => run !== undefined && isBad(run));
}

function isBad({ status, report }: Pick<Run, 'status' | 'report'>): boolean {
  return report ? report.outcome === 'failed' || report.outcome === 'partial' : status !== 'RUNNING';
}

function nextText({ next, schedule }: JobStatus, timeZone: string): string {
  if (next) return localTime(next, timeZone);
  if (schedule === 'disabled') return alarmText('switched off');
  return schedule === 'none' ? 'by hand' : 'unknown';
}

/** How a run ended, in its colour. */
export function stateOf({ status, report }: Pick<Run, 'status' | 'report'>): string {
  if (report && status === 'NOT_BEGUN' && report.outcome !== 'skipped')
    return alarmText(`${report.outcome}, never began`);
  if (report) return outcomeText(report.outcome);
  return status === 'RUNNING' ? 'goes on' : alarmText(`lost (${status.toLowerCase().replaceAll('_', ' ')})`);
}

/** How long a run took. */
export function lengthOf({ startedAt, endedAt }: Run): string {
  return endedAt ? `${Math.round((endedAt.getTime() - startedAt.getTime()) / 1000)} s` : '';
}

/** The first of a report's figures. */
export function figuresOf(report: RunReport | undefined): string {
  const figures = Object.entries(report?.figures ?? {});
  const shown = figures.slice(0, SHOWN_FIGURES).map(([name, value]) => `${name} ${value}`);
  return [...shown, ...(figures.length > SHOWN_FIGURES ? ['…'] : [])].join(', ');
}
