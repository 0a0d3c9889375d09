import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { CloudWatchClient, ListMetricsCommand } from '@aws-sdk/client-cloudwatch';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import type { Days } from './rotation-days.ts';

/** Texts, by what they are. */
type Seen = Map<string, Set<string>>;

/** The calls that carry passwords. */
const CARRIERS = ['PutSecretValue', 'PutParameter'];

/**
 * Looks at each call that a function makes, and then at the command lines of all processes below this one (the
 * functions', what they start, servers, containers) and at the environments of the functions'. Returns the way to end
 * that and to read what was seen; where the system has no /proc, no process was.
 */
export function watchFunctions({ aws }: Days): () => Seen {
  const seen: Seen = new Map([
    ['an event, or a call that carries none', new Set()],
    ['a command line', new Set()],
    ["a function's environment", new Set()],
  ]);
  const look = () => {
    for (const pid of processesBelow(process.pid)) {
      const read = (file: string) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ');
        } catch {
          return ''; // It has ended.
        }
      };
      seen.get('a command line')?.add(read('cmdline'));
      const environment = read('environ');
      if (environment.includes('AWS_LAMBDA_FUNCTION_NAME='))
        seen.get("a function's environment")?.add(environment);
    }
  };
  const stop = aws.onCall(({ caller, operation, input }) => {
    if (caller.function === undefined) return undefined;
    look();
    if (!CARRIERS.includes(operation))
      seen.get('an event, or a call that carries none')?.add(JSON.stringify(input));
    return undefined;
  });
  return () => {
    stop();
    return seen;
  };
}

function processesBelow(pid: number | string): string[] {
  let children: string[];
  try {
    children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean),
    );
  } catch {
    return [];
  }
  return children.flatMap((child) => [child, ...processesBelow(child)]);
}

/** Greps for every password that was ever in the secret, in all that tells of the runs. */
export async function expectNoPasswordIn(days: Days, seen: Seen): Promise<void> {
  const { aws, client, database } = days;
  const passwords = aws.secrets
    .everyValue()
    .flatMap((value) => (JSON.parse(value) as { password?: string }).password ?? []);
  assert.ok(passwords.length >= 3);
  const cloudWatch = new CloudWatchClient(client());
  const { Metrics: metrics } = await cloudWatch.send(new ListMetricsCommand({}));
  cloudWatch.destroy();
  const embedded = aws.logs.filter(({ text }) => text.includes('CloudWatchMetrics'));
  assert.ok(embedded.length > 0 && JSON.stringify(metrics).includes('CredentialAgeDays'));
  if (process.platform === 'linux')
    for (const [what, texts] of seen) assert.ok(texts.size > 0, `${what} was seen`);
  const places: [string, unknown][] = [
    ['the logs, embedded metrics among them', aws.logs],
    ['a metric', metrics],
    ['a report', reportsOf(aws)],
    ['a notification', aws.notifications],
    ['an alarm', aws.alarms],
    ["a run's history", aws.lambda.durable.list()],
    ["the server's log", await database.logs()],
    ...[...seen].map(([what, texts]): [string, unknown] => [what, [...texts]]),
  ];
  for (const [where, value] of places) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    for (const password of passwords) assert.ok(!text.includes(password), `a password is in ${where}`);
  }
}
