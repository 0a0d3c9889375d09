import type { Aws } from './aws/server.ts';
import { reportsOf } from './run-reports.ts';
import type { ClientScript } from './world.ts';

/** A garbage collection in the client, in a sentence. */
export function collectionText(
  deployment: string,
  { kind, node = 'the client', outcome, deleted }: Parameters<NonNullable<ClientScript['onCollection']>>[0],
): string {
  const what = outcome === 'running' ? `collects ${kind} garbage` : `${outcome}, ${deleted} rows deleted`;
  return `${deployment}: ${node} ${what}`;
}

/** Tells what has happened since it was last told. */
export function tell(
  aws: Aws,
  told: { reports: number; alarms: number },
  onEvent: (at: number, what: string) => void,
): typeof told {
  const reports = reportsOf(aws);
  for (const { endedAt, deployment, job, outcome, problems } of reports.slice(told.reports))
    onEvent(
      Date.parse(endedAt),
      [
        `${deployment}: ${job} ${outcome}${problems.length > 0 ? '.' : ''}`,
        ...problems.map(({ what }) => what),
      ].join(' '),
    );
  for (const { time, alarm, to } of aws.alarms.slice(told.alarms))
    if (to === 'ALARM') onEvent(time, `The alarm ${alarm} rings`);
  return { reports: reports.length, alarms: aws.alarms.length };
}

/** On the terminal: what is done next. */
export function say(what: string): void {
  console.log(`· ${what} …`);
}

/** On the terminal: what happened, with its moment on the clock. */
export function printEvent(at: number, what: string): void {
  console.log(`  ${new Date(at).toISOString().slice(5, 16).replace('T', ' ')} UTC  ${what}`);
}
