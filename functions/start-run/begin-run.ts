import { setTimeout } from 'node:timers/promises';
import {
  DurableExecutionAlreadyStartedException,
  GetDurableExecutionCommand,
  InvokeCommand,
  type LambdaClient,
  LambdaServiceException,
  ResourceNotFoundException,
} from '@aws-sdk/client-lambda';
import type { OtherRun, RunEvent } from '../shared/run/run-event.ts';
import type { JobTarget } from './contract.ts';
import type { LedgerEntry, LedgerPage, RunLedger } from './run-ledger.ts';

/** What became of a run that asked to begin. */
export type Beginning =
  | { kind: 'begun' | 'begun-before'; durableExecutionArn?: string }
  | { kind: 'in-the-way'; reason: string };

export interface BeginRunOptions {
  lambda: LambdaClient;
  ledger: RunLedger;
  jobs: Record<string, JobTarget>;
  /** Of this request, the same when Lambda repeats it: by it a start that was broken off is known as one's own. */
  claim: string;
  /** Epoch milliseconds. @default the system's clock */
  now?: () => number;
  /** Between two tries to write. */
  pause?: (attempt: number) => Promise<unknown>;
}

/** How long start-run can be at it before Lambda ends it: after that, somebody else finishes what it began. */
const START_SECONDS = 60;
/** Lambda may not know an execution at once that it has just accepted. */
const APPEARS_WITHIN_MS = 15 * 60_000;
/** How long the ledger knows a run after its end: longer than a start may be repeated. */
const REMEMBERED_MS = 26 * 3600_000;
/** Of all entries as JSON, in characters: with its writer, a page is still a standard parameter (4 KB). */
const MOST_CHARACTERS = 3900;
/** Each time that the next page is taken, somebody else has got on. */
const MOST_TRIES = 100;

/**
 * Lets a run begin, unless one is in the way, and begins it, once.
 *
 * The ledger's next page is what only one can write: it says who runs. What is written there and not begun yet, because
 * the writer died or Lambda did not answer, is begun by whoever comes across it: under the same name and with the same
 * payload Lambda begins it once. A run is no longer in the way when Lambda says of its own execution that it has ended,
 * or when no execution of its job can last so long.
 */
export async function beginRun(event: RunEvent, options: BeginRunOptions): Promise<Beginning> {
  const { ledger, jobs, claim } = options;
  const clock = options.now ?? Date.now;
  const target = targetOf(jobs, event.job);
  if (!target) throw new Error(`There is no job ${event.job}.`);
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    if (attempt > 0) await (options.pause ?? pause)(attempt);
    const page = await ledger.read();
    const own = page.entries.find(({ runId }) => runId === event.runId);
    if (own) return finish(own, options);

    const looked = await lookAt(page, target, event.job, options);
    if (looked.kind === 'in-the-way') return looked;
    const now = clock();
    const entry: LedgerEntry = {
      job: event.job,
      runId: event.runId,
      claim,
      at: new Date(now).toISOString(),
      until: new Date(now + target.longestSeconds * 1000).toISOString(),
      event: { ...event, ...(looked.runsToWaitFor.length > 0 && { runsToWaitFor: looked.runsToWaitFor }) },
    };
    if (await ledger.write(page, fitting([...looked.entries, entry], now), claim))
      return finish(entry, options);
  }
  throw new Error(
    `The ledger of runs was changed by others each of ${MOST_TRIES} times, so ${event.runId} was not begun. Start it again.`,
  );
}

type Looked =
  | { kind: 'free'; entries: LedgerEntry[]; runsToWaitFor: OtherRun[] }
  | { kind: 'in-the-way'; reason: string };

/** What goes on beside a job, and what the next page is to keep. */
async function lookAt(
  page: LedgerPage,
  target: JobTarget,
  job: string,
  options: BeginRunOptions,
): Promise<Looked> {
  const now = (options.now ?? Date.now)();
  const entries: LedgerEntry[] = [];
  const runsToWaitFor: OtherRun[] = [];
  for (const entry of page.entries) {
    const until = Date.parse(entry.until);
    if (now >= until + REMEMBERED_MS) continue;
    const waited = target.waitsFor?.includes(entry.job) ?? false;
    const forbidden = entry.job === job || target.conflictsWith.includes(entry.job);
    if (!waited && !forbidden) {
      entries.push(now < until ? entry : ended(entry, now));
      continue;
    }
    const state = await stateOf(entry, waited && !forbidden, options);
    if (state.kind === 'never-began') continue;
    if (state.kind === 'ended') {
      entries.push(ended(entry, now));
      continue;
    }
    if (forbidden) {
      const is = state.kind === 'beginning' ? 'is being started' : 'is still going on';
      return {
        kind: 'in-the-way',
        reason: `The run ${entry.runId} ${is}, and ${job} must not run beside it.`,
      };
    }
    if (state.kind === 'running' && state.durableExecutionArn) {
      const { durableExecutionArn } = state;
      entries.push(begun(entry, durableExecutionArn));
      runsToWaitFor.push({ job: entry.job, runId: entry.runId, durableExecutionArn });
    } else
      return {
        kind: 'in-the-way',
        reason: `The run ${entry.runId} is going on, and Lambda does not tell when it ends.`,
      };
  }
  return { kind: 'free', entries, runsToWaitFor };
}

type State =
  | { kind: 'beginning' | 'ended' | 'never-began' }
  | { kind: 'running'; durableExecutionArn?: string };

async function stateOf(entry: LedgerEntry, atOnce: boolean, options: BeginRunOptions): Promise<State> {
  const now = (options.now ?? Date.now)();
  const target = targetOf(options.jobs, entry.job);
  // The job was taken away, and its function with it.
  if (now >= Date.parse(entry.until) || !target) return { kind: 'ended' };
  const { durableExecutionArn: arn, event } = entry;
  if (arn) {
    const running = await isRunning(options.lambda, arn, now - Date.parse(entry.at));
    return running ? { kind: 'running', durableExecutionArn: arn } : { kind: 'ended' };
  }
  if (!event) return { kind: 'running' };
  if (!atOnce && now - Date.parse(entry.at) < START_SECONDS * 1000) return { kind: 'beginning' };
  const invoked = await invoke(options.lambda, target, event);
  if (invoked.kind === 'refused') {
    await amend(options, (entries) => entries.filter(({ runId }) => runId !== entry.runId));
    return { kind: 'never-began' };
  }
  if (invoked.kind === 'taken' || !invoked.durableExecutionArn) return { kind: 'running' };
  const { durableExecutionArn } = invoked;
  const running = await isRunning(options.lambda, durableExecutionArn, 0);
  return running ? { kind: 'running', durableExecutionArn } : { kind: 'ended' };
}

/** Begins what the ledger says may begin, and notes that it has. */
async function finish(entry: LedgerEntry, options: BeginRunOptions): Promise<Beginning> {
  const { durableExecutionArn, event, runId } = entry;
  const kind = entry.claim === options.claim ? 'begun' : 'begun-before';
  const target = targetOf(options.jobs, entry.job);
  if (durableExecutionArn || !event || !target)
    return { kind, ...(durableExecutionArn && { durableExecutionArn }) };
  const invoked = await invoke(options.lambda, target, event);
  if (invoked.kind !== 'begun') {
    // Under this name another run was begun so long ago that the ledger has forgotten it; or Lambda begins none.
    await amend(options, (entries) => entries.filter((other) => other.runId !== runId));
    if (invoked.kind === 'refused') throw invoked.error;
    return { kind: 'begun-before' };
  }
  await amend(options, (entries) =>
    entries.map((other) => (other.runId === runId ? begun(other, invoked.durableExecutionArn) : other)),
  );
  return { kind, ...(invoked.durableExecutionArn && { durableExecutionArn: invoked.durableExecutionArn }) };
}

/** Changes what the ledger says. Where it cannot, whoever comes across the entry finds out the same again. */
async function amend(
  { ledger, claim, ...options }: BeginRunOptions,
  change: (entries: LedgerEntry[]) => LedgerEntry[],
): Promise<void> {
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    if (attempt > 0) await (options.pause ?? pause)(attempt);
    const page = await ledger.read();
    const changed = change(page.entries);
    if (JSON.stringify(changed) === JSON.stringify(page.entries)) return;
    if (await ledger.write(page, changed, claim)) return;
  }
}

function begun(
  { event: _event, ...entry }: LedgerEntry,
  durableExecutionArn: string | undefined,
): LedgerEntry {
  return { ...entry, ...(durableExecutionArn && { durableExecutionArn }) };
}

/** Kept for a while, so that a second delivery of its start is known as one. */
function ended({ job, runId, claim, at, until }: LedgerEntry, now: number): LedgerEntry {
  return { job, runId, claim, at, until: new Date(Math.min(now, Date.parse(until))).toISOString() };
}

/**
 * Without the runs that ended longest ago where a page could not hold all: on a day of many starts by hand. A start of one of
 * these that is repeated all the same finds its name taken at Lambda.
 */
function fitting(entries: LedgerEntry[], now: number): LedgerEntry[] {
  const kept = [...entries];
  while (JSON.stringify(kept).length > MOST_CHARACTERS) {
    const ended = kept.filter(({ until }) => Date.parse(until) <= now);
    const [first] = ended.sort((a, b) => Date.parse(a.until) - Date.parse(b.until));
    if (!first) break;
    kept.splice(kept.indexOf(first), 1);
  }
  return kept;
}

/**
 * Whether an execution goes on. One that Lambda does not know may be so new that it will.
 * @param age milliseconds since it was let begin.
 */
export async function isRunning(lambda: LambdaClient, arn: string, age: number): Promise<boolean> {
  try {
    const { Status: status } = await lambda.send(
      new GetDurableExecutionCommand({ DurableExecutionArn: arn, IncludeExecutionData: false }),
    );
    return status === 'RUNNING';
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return age < APPEARS_WITHIN_MS;
    throw error;
  }
}

type Invoked =
  | { kind: 'begun'; durableExecutionArn: string | undefined }
  /** The name is another run's. */
  | { kind: 'taken' }
  /** For good: nothing was begun. */
  | { kind: 'refused'; error: Error };

/** @throws Error if it is not known whether the run was begun. */
async function invoke(lambda: LambdaClient, { aliasArn }: JobTarget, event: RunEvent): Promise<Invoked> {
  try {
    const { DurableExecutionArn: durableExecutionArn } = await lambda.send(
      new InvokeCommand({
        FunctionName: aliasArn,
        InvocationType: 'Event',
        DurableExecutionName: event.runId,
        Payload: JSON.stringify(event),
      }),
    );
    return { kind: 'begun', durableExecutionArn };
  } catch (error) {
    if (error instanceof DurableExecutionAlreadyStartedException) return { kind: 'taken' };
    if (error instanceof LambdaServiceException && isRefusal(error)) return { kind: 'refused', error };
    throw error;
  }
}

/** A request that Lambda understood and turned down, and would turn down again. */
function isRefusal({
  $fault: fault,
  $metadata: { httpStatusCode: status = 0 },
}: LambdaServiceException): boolean {
  return fault === 'client' && status >= 400 && status < 500 && status !== 429 && status !== 408;
}

function targetOf(jobs: Record<string, JobTarget>, job: string): JobTarget | undefined {
  return Object.hasOwn(jobs, job) ? jobs[job] : undefined;
}

/** Longer and longer, and never at the same moment as another. */
function pause(attempt: number): Promise<unknown> {
  return setTimeout(Math.random() * Math.min(50 * attempt, 1000));
}
