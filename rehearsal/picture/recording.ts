import type { CredentialRotationSettings } from '../../functions/credential-rotation/contract.ts';
import type { RunReport } from '../../functions/shared/run/report.ts';
import type { ManagedService } from '../aws/ecs/service.ts';
import { functionNamed, settingsOf } from '../deployed-functions.ts';
import type { Night } from '../night-checks.ts';
import type { TriedLogin } from '../whatsapp/logins.ts';
import type { PlayedDeployment, World } from '../world.ts';
import { type StepSpan, stepSpans } from './step-spans.ts';

/** What a night's picture is drawn from, besides the runs' reports. All times are epoch milliseconds on the night's clock. */
export interface Recording {
  begin: number;
  end: number;
  deployments: string[];
  executions: RecordedExecution[];
  alarms: RingingAlarm[];
  /** Rows of `messages` in a deployment's databases, each time that some were deleted. */
  rows: { deployment: string; time: number; rows: number }[];
  logins: RecordedLogins[];
  /** Uses of AWS, by the service's name as in the actions of policies. */
  calls: { service: string; allowed: number; refused: number }[];
}

/** A run, as Lambda has it on record. */
export interface RecordedExecution {
  deployment: string;
  job: string;
  runId: string;
  status: string;
  begin: number;
  /** The night's end, where it still goes on. */
  end: number;
  spans: StepSpan[];
  /** When an invocation ended with an error, or by force. */
  crashes: number[];
}

/** An alarm, from when it rang until it was quiet again. */
export interface RingingAlarm {
  name: string;
  begin: number;
  /** Undefined: it still rings at the night's end. */
  end: number | undefined;
}

/** The logins of one deployment's containers, and what was changed meanwhile. Seconds are the machine's own, since its first login. */
export interface RecordedLogins {
  deployment: string;
  seconds: LoginsOfSecond[];
  /** Rotations of the password that ended. */
  changes: { second: number; time: number; failed: boolean }[];
  /** When the run saw to each service that its tasks got the new password. */
  rolls: {
    service: string;
    begin: number;
    end: number;
    time: number;
    state: 'goes on' | 'completed' | 'failed';
  }[];
}

export interface LoginsOfSecond {
  second: number;
  /** With the credential that was there at the beginning. */
  old: number;
  /** With one that took its place. */
  new: number;
  failed: number;
  /** With what a container took for its credential. */
  misread: number;
}

/** Those runs of which nothing but Lambda tells. */
export function withoutReport(
  executions: readonly RecordedExecution[],
  runs: readonly RunReport[],
): RecordedExecution[] {
  const reported = new Set(runs.map(({ runId }) => runId));
  return executions.filter(({ runId }) => !reported.has(runId));
}

/** Listens to a night from its beginning. Call what it returns at the night's end. */
export function record({ aws, clock, deployments, shop }: World): (night: Night) => Recording {
  const begin = clock.now();
  /** Of the machine's own time and the night's, in order: time flows alike in both but for the jumps of the latter. */
  const moments: Moment[] = [];
  const stop = aws.onCall(() => {
    moments.push({ realTime: Date.now(), time: clock.now() });
    return undefined;
  });
  return (night) => {
    stop();
    const end = clock.now();
    const played = Object.values(deployments);
    const names = [...played.map(({ name }) => name), ...(shop ? [shop.name] : [])].sort();
    const executions = aws.lambda.durable
      .list()
      .map(({ arn, name, status, started, ended, events }): RecordedExecution => {
        // arn:aws:lambda:REGION:ACCOUNT:function:DEPLOYMENT-JOB:…
        const functionName = arn.split(':')[6] ?? '';
        const deployment = deploymentOf(functionName, names);
        return {
          deployment,
          job: functionName.slice(deployment.length + 1),
          runId: name,
          status,
          begin: started,
          end: ended ?? end,
          ...stepSpans(events, ended ?? end),
        };
      })
      .sort((one, other) => one.begin - other.begin);
    return {
      begin,
      end,
      deployments: names,
      executions,
      alarms: ringing(aws.alarms, night),
      rows: played.flatMap((deployment) => rowsOf(deployment, night, { begin, end })),
      logins: loggingIn(aws, { deployments, shop }).flatMap((each) =>
        loginsOf(aws, each, executions, moments),
      ),
      calls: callsOf(aws.calls),
    };
  };
}

interface Moment {
  realTime: number;
  time: number;
}

function deploymentOf(name: string, deployments: string[]): string {
  return deployments.find((deployment) => name.startsWith(`${deployment}-`)) ?? name.split('-')[0] ?? '';
}

/** Those of the night's account, each until it was quiet again. */
function ringing(history: World['aws']['alarms'], night: Night): RingingAlarm[] {
  const rang = new Set(night.alarms.map(({ name }) => name));
  const alarms: RingingAlarm[] = [];
  for (const { alarm: name, time, to } of history) {
    if (!rang.has(name)) continue;
    const rings = alarms.findLast((each) => each.name === name && each.end === undefined);
    if (to === 'ALARM') alarms.push({ name, begin: time, end: undefined });
    else if (rings) rings.end = time;
  }
  return alarms;
}

/** From what SQL counts at the end, backwards by what each statement deleted. */
function rowsOf(
  { name: deployment, webApp }: PlayedDeployment,
  night: Night,
  { begin, end }: { begin: number; end: number },
): Recording['rows'] {
  const collections = webApp.collections.filter(({ kind }) => kind === 'message');
  if (collections.length === 0) return [];
  const statements = collections
    .flatMap((collection) => collection.statements)
    .sort((one, other) => one.time - other.time);
  const left = night.rows[deployment]?.left.messages ?? 0;
  let rows = statements.reduce((sum, { deleted }) => sum + deleted, left);
  return [
    { deployment, time: begin, rows },
    ...statements.map(({ time, deleted }) => {
      rows -= deleted;
      return { deployment, time, rows };
    }),
    { deployment, time: end, rows: left },
  ];
}

/** Containers that log in by one credential, which is rotated. */
interface LoggingIn {
  /** As the night calls their logins. */
  name: string;
  deployment: string;
  secretArn: string;
  tried: readonly TriedLogin[];
  services: ManagedService[];
}

function loggingIn(
  aws: World['aws'],
  { deployments, shop }: Pick<World, 'deployments' | 'shop'>,
): LoggingIn[] {
  const ofClients = Object.values(deployments).flatMap(({ name, logins: { tried }, containers }) => {
    const rotation = functionNamed(aws, `${name}-credential-rotation`);
    if (!rotation) return [];
    const { secretArn } = settingsOf<CredentialRotationSettings>(rotation);
    return { name, deployment: name, secretArn, tried, services: Object.values(containers?.services ?? {}) };
  });
  const ofShop = Object.entries(shop?.readers?.credentials ?? {}).map(
    ([
      name,
      {
        secretArn,
        logins: { tried },
      },
    ]) => ({
      name: `shop, ${name}`,
      deployment: 'shop',
      secretArn,
      tried,
      services: Object.values(shop?.readers?.services ?? {}),
    }),
  );
  return [...ofClients, ...ofShop];
}

function loginsOf(
  aws: World['aws'],
  { name, deployment, secretArn, tried, services }: LoggingIn,
  executions: readonly RecordedExecution[],
  moments: readonly Moment[],
): RecordedLogins[] {
  const [first] = tried;
  if (!first) return [];
  const all = [...moments, ...tried].sort((one, other) => one.realTime - other.realTime);
  const secondOf = (realTime: number) => Math.floor((realTime - first.realTime) / 1000);
  const secondAt = (time: number) => secondOf(realTimeOf(time, all));
  const seconds = bySecond(tried, secondOf);
  const changes = aws.secrets.rotations
    .filter(({ isTest, ...ended }) => ended.secretArn === secretArn && !isTest)
    .map(({ time, error }) => ({ second: secondAt(time), time, failed: error !== undefined }));
  const spans = executions
    .filter((execution) => execution.deployment === deployment && execution.job === 'credential-rotation')
    .flatMap((execution) => execution.spans);
  const rolls = services
    .flatMap(({ options: { service }, everyDeployment: [latest] }) => {
      // Some services are deployed anew, of others tasks are stopped one by one: the run's steps name the service.
      const its = spans.filter(({ step }) => ` ${step} `.includes(` ${service} `));
      const [first] = its;
      if (!first) return [];
      return {
        service,
        begin: secondAt(first.begin),
        end: secondAt(Math.max(...its.map(({ end }) => end))),
        time: first.begin,
        state: ROLL_STATES[latest?.state ?? 'COMPLETED'],
      };
    })
    .sort((one, other) => one.time - other.time);
  return [{ deployment: name, seconds, changes, rolls }];
}

const ROLL_STATES = { IN_PROGRESS: 'goes on', COMPLETED: 'completed', FAILED: 'failed' } as const;

function bySecond(tried: readonly TriedLogin[], secondOf: (realTime: number) => number): LoginsOfSecond[] {
  const last = Math.max(...tried.map(({ realTime }) => secondOf(realTime)));
  const seconds = Array.from({ length: last + 1 }, (_, second) => ({
    second,
    old: 0,
    new: 0,
    failed: 0,
    misread: 0,
  }));
  for (const { realTime, credential, outcome } of tried) {
    const its = seconds[secondOf(realTime)];
    if (!its) continue;
    if (outcome === 'made') its[credential === 0 ? 'old' : 'new'] += 1;
    else its[outcome] += 1;
  }
  return seconds;
}

/** The machine's own time at a time of the night: it flowed alike since the last moment before that, unless the night jumped. */
function realTimeOf(time: number, moments: readonly Moment[]): number {
  const next = moments.findIndex((moment) => moment.time > time);
  const before = moments[next < 0 ? moments.length - 1 : next - 1];
  const after = next < 0 ? undefined : moments[next];
  if (!before) return after?.realTime ?? time;
  return Math.min(before.realTime + time - before.time, after?.realTime ?? Number.POSITIVE_INFINITY);
}

function callsOf(calls: World['aws']['calls']): Recording['calls'] {
  const services = new Map<string, Recording['calls'][number]>();
  for (const { service, allowed } of calls) {
    const its = services.get(service) ?? { service, allowed: 0, refused: 0 };
    its[allowed ? 'allowed' : 'refused'] += 1;
    services.set(service, its);
  }
  return [...services.values()].sort((one, other) => other.allowed - one.allowed);
}
