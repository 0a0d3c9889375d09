import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { Postgres } from '../../../rehearsal/databases/postgres.ts';
import { leaks } from '../../../rehearsal/night-checks.ts';
import { distinctReports, reportsOf } from '../../../rehearsal/run-reports.ts';
import { type Draw, drawOf } from './draw.ts';
import { SOAK_FAULTS } from './faults.ts';
import { beginLife, DAY, HOUR, type Life, NAME } from './life.ts';

/** What came of a life's nights. */
export interface Soaked {
  /** By which each of its nights is played again. */
  seed: string;
  nights: number;
  /** Runs by outcome. */
  runs: Record<string, number>;
  /** How often each fault struck. */
  faults: Record<string, number>;
  /** Alarms that rang. */
  alarms: number;
  /** Logins of containers, those in the middle of rolls too. */
  logins: number;
  /** What must never be, each with its night and what struck it. */
  violations: string[];
}

/** In a life of the bench, without the quiet ones at its end. */
export const LIFE_NIGHTS = 12;
/** At the end of a life nothing goes wrong for so many nights; in the last of them each run must succeed, by itself. */
const QUIET_NIGHTS = 2;
/** Of the other nights, how many nothing strikes. */
const GOOD_SHARE = 0.2;
const MOST_FAULTS = 4;
/** Alarms about the days before, which ring by what has not come for so long. */
const LATE = /-missed$/;

/**
 * Plays a deployment's nights one after the other, each with faults that its seed draws, and looks after each of them at what
 * must hold whatever went wrong.
 * @param nights those in which something may go wrong
 */
export async function soak(options: {
  cdkOut: string;
  postgres: Postgres;
  /** One that goes on, and is not ended. @default it is begun, and ended */
  life?: Life;
  seed: string;
  nights: number;
  /** Told of each night. */
  onNight?: (line: string) => void;
}): Promise<Soaked> {
  const { cdkOut, postgres, seed, nights, onNight = () => {} } = options;
  const life = options.life ?? (await beginLife({ cdkOut, postgres }));
  const soaked: Soaked = {
    seed,
    nights: nights + QUIET_NIGHTS,
    runs: {},
    faults: {},
    alarms: 0,
    logins: 0,
    violations: [],
  };
  try {
    const watch = watchRolls(life);
    let before: NightFacts | undefined;
    for (let night = 1; night <= nights + QUIET_NIGHTS; night++) {
      const draw = drawOf(`${seed}/${night}`);
      const struck = night > nights || draw.chance(GOOD_SHARE) ? [] : strike(life, draw);
      for (const { name } of struck) soaked.faults[name] = (soaked.faults[name] ?? 0) + 1;
      const facts = await playNight(life, struck);
      const isLast = night === nights + QUIET_NIGHTS;
      const wrong = [
        ...(await credentialViolations(life)),
        ...runViolations(facts),
        ...watch.take(),
        ...alarmViolations(facts, before),
        ...(isLast || night % 5 === 0 ? await leaks(life.world) : []),
        ...(isLast ? healViolations(facts) : []),
        ...facts.denials,
      ];
      for (const { outcome } of facts.reports) soaked.runs[outcome] = (soaked.runs[outcome] ?? 0) + 1;
      soaked.alarms += facts.rang.length;
      const what = struck.map(({ name, said }) => `${name} ${said}`).join('; ') || 'nothing';
      soaked.violations.push(
        ...wrong.map((violation) => `seed ${seed}, night ${night} (${what}): ${violation}`),
      );
      onNight(
        `night ${night}: ${what}. ${facts.reports.map(({ job, outcome }) => `${job} ${outcome}`).join(', ')}. Rang: ${facts.rang.join(', ') || 'none'}.${wrong.map((each) => `\n    ✖ ${each}`).join('')}`,
      );
      before = facts;
    }
    soaked.logins = life.played.logins.count.made;
    return soaked;
  } finally {
    if (!options.life) await life.close();
  }
}

interface Struck {
  name: string;
  said: string;
  undo: (() => unknown) | undefined;
  rings: RegExp | undefined;
}

function strike(life: Life, draw: Draw): Struck[] {
  const names = Object.keys(SOAK_FAULTS) as [string, ...string[]];
  const chosen = new Set(Array.from({ length: draw.between(1, MOST_FAULTS) }, () => draw.oneOf(names)));
  return [...chosen].flatMap((name) => {
    const fault = SOAK_FAULTS[name];
    if (!fault) return [];
    let said = '';
    const undo = fault.strike(life, draw, (what) => {
      said = what;
    });
    return [{ name, said, undo, rings: fault.rings }];
  });
}

interface NightFacts {
  struck: Struck[];
  /** When each job was due. */
  due: { job: string; time: number }[];
  reports: RunReport[];
  /** The alarms that began to ring. */
  rang: string[];
  /** The alarms that rang when it ended. */
  ringing: string[];
  /** What AWS refused for want of a permission. */
  denials: string[];
  /** Names of runs that have not ended. */
  unfinished: string[];
  /** Runs that ended in it without a report of their own, by job. */
  ended: { job: string; name: string; status: string }[];
}

async function playNight(life: Life, struck: Struck[]): Promise<NightFacts> {
  const { aws, clock } = life.world;
  const begins = clock.now();
  const [reportsBefore, alarmsBefore] = [reportsOf(aws).length, aws.alarms.length];
  const deniedBefore = aws.denials.length;
  const end = begins + DAY;
  const due = aws.scheduler
    .upcoming(2)
    .flatMap(({ name, times }) =>
      times.filter((time) => time < end).map((time) => ({ job: name.slice(NAME.length + 1), time })),
    );
  await clock.runUntil(end);
  for (const { undo } of struck) await undo?.();
  const executions = aws.lambda.durable.list();
  return {
    struck,
    due,
    reports: distinctReports(reportsOf(aws).slice(reportsBefore)),
    rang: aws.alarms.slice(alarmsBefore).flatMap(({ alarm, to }) => (to === 'ALARM' ? [alarm] : [])),
    ringing: aws.cloudWatch.inState('ALARM'),
    denials: aws.denials.slice(deniedBefore),
    unfinished: executions.flatMap(({ name, status }) => (status === 'RUNNING' ? [name] : [])),
    ended: executions.flatMap(({ name, arn, status, ended }) =>
      ended !== undefined && ended >= begins ? [{ name, status, job: jobOfArn(arn) }] : [],
    ),
  };
}

function jobOfArn(arn: string): string {
  return (arn.split(':')[6] ?? '').slice(NAME.length + 1);
}

/** The credential of the secret works, and so does that of each container that runs and took what it was given. */
async function credentialViolations({ played, tasks, given }: Life): Promise<string[]> {
  const { credential, logins } = played;
  const violations = logins.failures.splice(0).map((failure) => `A container could not log in: ${failure}`);
  const current = credential?.login('AWSCURRENT');
  if (!credential || !current) return [...violations, 'The secret has no current value.'];
  if (!(await credential.accepts(current)))
    violations.push('The database does not take the current credential.');
  for (const { service, containers } of tasks())
    for (const container of containers) {
      const login = given.get(container);
      if (container.running && login && !login.isMisread && !(await credential.accepts(login)))
        violations.push(`A running container of ${service} has a credential that the database refuses.`);
    }
  return violations;
}

/** Each time that was due has one run and one report, or an alarm; no run reports twice. */
function runViolations({ reports, due, ringing, rang, unfinished }: NightFacts): string[] {
  const violations: string[] = [];
  // A start that failed can have left its run to whoever starts the next one: then it runs later, after it was told.
  const ran = reports.filter((report) => !isOfStart(report));
  for (const [runId, all] of Map.groupBy(ran, ({ runId }) => runId))
    if (all.length > 1) violations.push(`The run ${runId} has ${all.length} reports that differ.`);
  const scheduled = reports.filter(({ runId }) => !runId.startsWith('manual'));
  for (const [time, all] of Map.groupBy(scheduled, ({ job, scheduledFor }) => `${job} ${scheduledFor}`))
    if (new Set(all.map(({ runId }) => runId)).size > 1)
      violations.push(`For one time there were several runs: ${time}.`);
  for (const { job, time } of due) {
    if (scheduled.some((run) => run.job === job && Date.parse(run.scheduledFor) === time)) continue;
    const alarms = [...rang, ...ringing];
    // It is told by what should have begun or reported it, or in the course of the next night, if none comes then.
    if (alarms.some((alarm) => alarm.startsWith(`${NAME}-${job}-`) || STARTING.test(alarm))) continue;
    violations.push(
      `${job}, due at ${new Date(time).toISOString()}, has no report, and no alarm rang${unfinished.length > 0 ? ` (still at work: ${unfinished})` : ''}.`,
    );
  }
  return violations;
}

const STARTING = /-(start-run|schedules|report-lost-run)-/;

/** What report-lost-run makes of a start that failed each time. */
function isOfStart({ problems }: RunReport): boolean {
  return problems[0]?.what.startsWith('The run was not started: ') ?? false;
}

function alarmViolations(
  { reports, rang, ringing, struck, ended }: NightFacts,
  before: NightFacts | undefined,
): string[] {
  const violations: string[] = [];
  const known = new Set([...rang, ...ringing, ...(before?.ringing ?? [])]);
  for (const report of reports) {
    const { job, outcome, problems } = report;
    if (outcome !== 'failed' && outcome !== 'partial') continue;
    const told = [...known].some(
      (alarm) =>
        (isOfStart(report) && STARTING.test(alarm)) ||
        alarm === `${NAME}-${job}-${outcome}` ||
        (outcome === 'failed' && [`${NAME}-${job}-lost`, `${NAME}-${job}-crashing`].includes(alarm)) ||
        (problems.length > 0 && problems.every(({ toldBy }) => toldBy && known.has(toldBy.alarm))),
    );
    if (!told) violations.push(`${job} ${outcome}, and no alarm rang: ${problems[0]?.what}`);
  }
  const recent = [...reports, ...(before?.reports ?? [])];
  for (const alarm of rang) {
    if (struck.some(({ rings }) => rings?.test(alarm))) continue;
    if (before?.struck.some(({ rings }) => rings?.test(alarm))) continue;
    const [, job = '', what = ''] =
      /^emea-(message-gc|media-gc|log-cleanup|credential-rotation|database-size|application-settings|upgrade-check)-(.*)$/.exec(
        alarm,
      ) ?? [];
    const of = recent.filter((report) => report.job === job);
    const isTrue =
      (what === 'failed' || what === 'partial'
        ? of.some(({ outcome }) => outcome === what)
        : what === 'lost'
          ? ended.some((run) => run.job === job && run.status !== 'SUCCEEDED') || of.some(isOfStart)
          : what.startsWith('stopped-') || what === 'unretired'
            ? of.some(({ outcome }) => outcome !== 'succeeded')
            : LATE.test(alarm) && of.every(({ outcome }) => outcome !== 'succeeded')) ||
      (LATE.test(alarm) && missedADay(of));
    if (!isTrue) violations.push(`The alarm ${alarm} rang without a cause.`);
  }
  return violations;
}

/** Whether of two nights one has no success. */
function missedADay(reports: RunReport[]): boolean {
  const good = reports.filter(({ outcome }) => outcome === 'succeeded' || outcome === 'partial');
  const times = good.map(({ endedAt }) => Date.parse(endedAt)).sort((a, b) => a - b);
  return (
    times.length < 2 || times.some((time, index) => index > 0 && time - (times[index - 1] ?? 0) > 25 * HOUR)
  );
}

/** After some nights in which nothing went wrong, nothing is wrong any more. */
function healViolations({ reports, due, rang }: NightFacts): string[] {
  const bad = reports.filter(({ outcome }) => outcome !== 'succeeded');
  return [
    ...bad.map(({ job, outcome, problems }) => `It has not healed: ${job} ${outcome}: ${problems[0]?.what}`),
    ...(reports.length < due.length ? [`It has not healed: ${reports.length} runs of ${due.length}.`] : []),
    ...rang.map((alarm) => `It has not healed: ${alarm} rang.`),
  ];
}

/** Looks at every request for garbage collection and at every roll of a service as they come. */
function watchRolls(life: Life): { take(): string[] } {
  const { aws } = life.world;
  const violations: string[] = [];
  const rollsIn = () =>
    aws.lambda.durable
      .list()
      .some(({ arn, status }) => status === 'RUNNING' && jobOfArn(arn) === 'credential-rotation');
  let rolling = false;
  aws.onCall(({ operation, caller }) => {
    if (operation !== 'UpdateService' || caller.function?.name !== `${NAME}-credential-rotation`)
      return undefined;
    rolling = true;
    if (life.played.webApp.collections.some(({ asked, outcome }) => asked && outcome === 'running'))
      violations.push('A service was rolled while garbage was collected.');
    return undefined;
  });
  life.onCollection.add(({ asked, outcome }) => {
    if (!asked || outcome !== 'running') return;
    rolling &&= rollsIn();
    if (rolling) violations.push('Garbage was collected while services were rolled.');
  });
  return { take: () => violations.splice(0) };
}
