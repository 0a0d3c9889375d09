import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { atMostOnce } from '../run/at-most-once.ts';
import type { Problem } from '../run/report.ts';
import { awaitedByEarlierRuns, isAwaited, type StillAwaited, stillAwaited } from './awaited-callbacks.ts';
import { deleteCallbacks, hideCallbacks, receiveCallbacks } from './callback-queue.ts';
import { type CertificateLife, lifeOf } from './certificate.ts';
import { needsAPerson, WebAppError, WebAppUnreachableError } from './errors.ts';
import { doubtsOf, type GcCall, isComplete, saysComplete } from './gc-call.ts';
import { type Arrived, type Heard, type Hearing, hear, NOTHING_HEARD, someOf } from './hear.ts';
import { SINGLE_INSTANCE } from './nodes.ts';
import { type GcKind, type GcNotification, parseGcCallback } from './notifications.ts';
import type { GcSettings } from './settings.ts';
import { type GcAnswer, withWebApp } from './web-app.ts';

/** How long a notification stays hidden once it was looked at: until the next look has deleted it. */
const NOTIFICATION_HIDDEN_SECONDS = 300;

/** Between two looks at the queue: short while a small database may be done, long later. */
const FIRST_LOOK_SECONDS = 15;
const LONGEST_LOOK_SECONDS = 120;

/** Between two questions of whether a silent node is still there. */
const NODE_CHECK_SECONDS = 300;

/** The longest pause while WebApp or CoreApp is away. */
const LONGEST_PAUSE_SECONDS = 15 * 60;

/** After a callback was taken, those that the client had before have come: its longest pause between two tries is that (Meta's default). */
const LATEST_CALLBACK_SECONDS = 15 * 60;

/**
 * Callbacks that a look for answers takes, the rest is for the next one: their receipt handles, of some 400 characters each, are on record
 * until then, where a result may have 262,144 bytes. The client has 33 nodes at most.
 */
const MOST_IN_A_LOOK = 300;

export interface CollectedGarbage {
  calls: GcCall[];
  /** What no callback has come of when the run ends, be it of this run's requests or of earlier ones'. */
  awaited: StillAwaited;
  /** Callbacks that were of no node asked, or of the other kind of GC. */
  ignored: number;
  problems: Problem[];
  /** Missing: it was never seen. */
  certificate?: CertificateLife;
}

type Asked =
  | {
      kind: 'processing';
      nodes: string[];
      refused: GcAnswer['refused'];
      at: number;
      certificate?: CertificateLife;
    }
  | { kind: 'not-started' | 'refused'; reason: string; at: number }
  | { kind: 'interrupted'; at: number };

/** Asks for GC until every node's callback came without errors, the calls are used up or the window ends. */
export async function collectGarbage(
  kind: GcKind,
  settings: GcSettings,
  endBy: number,
  context: DurableContext,
): Promise<CollectedGarbage> {
  const { maximumCalls, pauseSeconds, callbackTimeoutSeconds } = settings.gc;
  const { durableExecutionArn } = context.executionContext;
  const awaited = await context.step('what earlier runs await', () =>
    awaitedByEarlierRuns(durableExecutionArn),
  );
  const collected: CollectedGarbage = { calls: [], awaited, ignored: 0, problems: [] };
  let unreadable = 0;
  let notStarted = 0;
  const late: string[] = [];

  for (let number = 1; number <= maximumCalls; number++) {
    const stale = await context.step(`discard stale notifications ${number}`, async () => {
      const { arrived, receiptHandles, unreadable } = await look(settings.notificationsQueueUrl);
      await deleteCallbacks(settings.notificationsQueueUrl, receiptHandles);
      return { unreadable, came: arrived.length, failed: failuresOf(arrived, settings.deployment) };
    });
    unreadable += stale.unreadable;
    collected.ignored += stale.came;
    if (number === 1) late.push(...stale.failed);
    const asked = await ask(kind, settings, number, endBy, context);
    if (asked.kind === 'processing' && asked.certificate) collected.certificate = asked.certificate;
    const deadline = Math.min(asked.at + callbackTimeoutSeconds * 1000, endBy);
    const answers = await waitForCallbacks(
      { kind, deployment: settings.deployment, nodes: nodesOf(asked) },
      settings,
      asked,
      number,
      deadline,
      context,
    );
    const call = callOf(asked, answers, collected.awaited);
    collected.calls.push(call);
    collected.awaited = stillAwaited(collected.awaited, call);
    collected.ignored += answers.setAside.length;
    unreadable += answers.unreadable;

    // Twice as long after each call in a row that did not start, so that a restart does not use up the calls.
    notStarted = call.kind === 'not-started' ? notStarted + 1 : 0;
    const doubts = doubtsOf(call);
    const pause = Math.max(
      Math.min(
        pauseSeconds * 2 ** Math.max(0, notStarted - 1),
        Math.max(pauseSeconds, LONGEST_PAUSE_SECONDS),
      ),
      doubts?.undated.length ? LATEST_CALLBACK_SECONDS : 0,
    );
    const another = number < maximumCalls && answers.lookedAt + pause * 1000 < endBy;
    // A webhook that names nobody names nobody in the next call either.
    const isUnnamedAlone = doubts?.undated.length === 0 && saysComplete(call);
    if (isComplete(call) || isUnnamedAlone || call.kind === 'refused' || !another) break;
    await context.wait(`pause after call ${number}`, { seconds: pause });
  }

  const where = `${settings.deployment}, queue ${settings.notificationsQueueUrl}`;
  if (late.length > 0)
    collected.problems.push({
      what: `Before this run asked, notifications waited that were of no request of it, and tell of a failure: ${someOf(late)}.`,
      where,
      next: 'An earlier run had ended when they came, so that its report may say better of it than it was. See whether it took a notification of another deployment for its own: name the deployment in the events (Resources).',
    });
  if (unreadable > 0)
    collected.problems.push({
      what: `${unreadable} notifications in the queue are not of the form that the client sends.`,
      where,
      next: 'They were left there and end in its dead-letter queue, but for those that came in one callback with good ones: look at them, and at what the webhook puts on the callbacks bus.',
    });
  return collected;
}

/** At most once: a request that may have reached WebApp is not sent again before its callbacks had their time. */
async function ask(
  kind: GcKind,
  settings: GcSettings,
  number: number,
  endBy: number,
  context: DurableContext,
): Promise<Asked> {
  const asked = await atMostOnce(context, `ask for GC ${number}`, () => requestGc(kind, settings, endBy));
  if (asked.kind === 'done') return asked.value;
  return context.step(`call ${number} was interrupted`, async () => ({
    kind: 'interrupted' as const,
    at: Date.now(),
  }));
}

async function requestGc(kind: GcKind, settings: GcSettings, endBy: number): Promise<Asked> {
  const now = Date.now();
  // Whatever held it up: what is asked for now would go on beyond the window.
  if (now >= endBy)
    return {
      kind: 'not-started',
      reason: `the time for it was over at ${new Date(endBy).toISOString()}, before WebApp could be asked.`,
      at: now,
    };
  try {
    return await withWebApp(settings.webApp, async (webApp): Promise<Asked> => {
      const { began, refused } = await webApp.collectGarbage(kind);
      const at = Date.now();
      if (began.length === 0) return { kind: 'not-started', reason: reasonOfNone(refused), at };
      // Media are the leader's work alone: one notification comes, whatever the answer names.
      const nodes = kind === 'media' ? [SINGLE_INSTANCE] : began;
      const certificate = lifeOf(settings.webApp.certificateAuthority, webApp.certificate(), at);
      return { kind: 'processing', nodes, refused, at, ...(certificate && { certificate }) };
    });
  } catch (error) {
    if (needsAPerson(error)) return { kind: 'refused', reason: (error as Error).message, at: Date.now() };
    if (error instanceof WebAppError || error instanceof WebAppUnreachableError)
      return { kind: 'not-started', reason: error.message, at: Date.now() };
    throw error;
  }
}

function reasonOfNone(refused: GcAnswer['refused']): string {
  if (refused.length === 0) return 'WebApp answered that it began on no node.';
  return `WebApp answered ${someOf(refused.map(({ node, reason }) => `"${reason}" for ${node}`))}.`;
}

/** What tells of a failure, unless it says that it is another deployment's. */
function failuresOf(arrived: readonly Arrived[], deployment: string): string[] {
  const { heard } = hear(
    { kind: 'message', deployment, nodes: undefined },
    NOTHING_HEARD,
    arrived.map(asMessages),
  );
  return Object.values(heard).flatMap(({ node, status, errors }) =>
    status === 'failed' ? [`${node}: ${errors.join('; ') || 'failed'}`] : [],
  );
}

function asMessages({ notification, deployments }: Arrived): Arrived {
  return { notification: { ...notification, kind: 'message' }, deployments };
}

interface Answers extends Heard {
  pending: string[];
  gone: string[];
  unreadable: number;
  /** Looked at, and deleted by the next look, so that a look which was not recorded loses nothing. */
  receiptHandles: string[];
  lookedAt: number;
  nodesCheckedAt: number;
}

function nodesOf(asked: Asked): string[] | undefined {
  return asked.kind === 'processing' ? asked.nodes : undefined;
}

async function waitForCallbacks(
  hearing: Hearing,
  settings: GcSettings,
  asked: Asked,
  number: number,
  deadline: number,
  context: DurableContext,
): Promise<Answers> {
  const initialState: Answers = {
    ...NOTHING_HEARD,
    heard: asked.kind === 'processing' ? refusalsOf(hearing.kind, asked.refused) : {},
    pending: asked.kind === 'processing' ? asked.nodes : [],
    gone: [],
    unreadable: 0,
    receiptHandles: [],
    lookedAt: asked.at,
    nodesCheckedAt: asked.at,
  };
  if (asked.kind !== 'processing' && asked.kind !== 'interrupted') return initialState;

  const answers = await context.waitForCondition(
    `callbacks of call ${number}`,
    (state) => lookForCallbacks(hearing, settings, state),
    {
      initialState,
      waitStrategy: ({ pending, heard, lookedAt }, attempt) => {
        const done =
          asked.kind === 'processing' ? pending.length === 0 : heard[SINGLE_INSTANCE] !== undefined;
        if (done || lookedAt >= deadline) return { shouldContinue: false };
        const pace = Math.min(FIRST_LOOK_SECONDS * 1.5 ** (attempt - 1), LONGEST_LOOK_SECONDS);
        const left = Math.ceil((deadline - lookedAt) / 1000);
        return { shouldContinue: true, delay: { seconds: Math.max(1, Math.min(Math.round(pace), left)) } };
      },
    },
  );
  await context.step(`delete the callbacks of call ${number}`, () =>
    deleteCallbacks(settings.notificationsQueueUrl, answers.receiptHandles),
  );
  return answers;
}

/** Nodes that answered at once that they do not collect. */
function refusalsOf(kind: GcKind, refused: GcAnswer['refused']): Record<string, GcNotification> {
  return Object.fromEntries(
    refused.map(({ node, reason }) => [
      node,
      { kind, node, status: 'failed' as const, errors: [`WebApp answered "${reason}"`] },
    ]),
  );
}

async function lookForCallbacks(hearing: Hearing, settings: GcSettings, before: Answers): Promise<Answers> {
  await deleteCallbacks(settings.notificationsQueueUrl, before.receiptHandles);
  const { arrived, receiptHandles, unreadable } = await look(settings.notificationsQueueUrl, MOST_IN_A_LOOK);
  let { pending, gone, nodesCheckedAt } = before;
  const { heard, setAside, doubtful, unnamed } = hear(hearing, before, arrived);
  pending = pending.filter((node) => !heard[node]);

  const now = Date.now();
  const named = pending.filter((node) => node !== SINGLE_INSTANCE);
  if (named.length > 0 && now - nodesCheckedAt >= NODE_CHECK_SECONDS * 1000) {
    nodesCheckedAt = now;
    const present = await presentNodes(settings);
    const vanished = present ? named.filter((node) => !present.includes(node)) : [];
    gone = [...gone, ...vanished];
    pending = pending.filter((node) => !vanished.includes(node));
  }
  return {
    heard,
    setAside,
    doubtful,
    unnamed,
    pending,
    gone,
    unreadable: before.unreadable + unreadable,
    receiptHandles,
    lookedAt: now,
    nodesCheckedAt,
  };
}

/** `undefined` while WebApp cannot tell: then a silent node is waited for until its time is up. */
async function presentNodes(settings: GcSettings): Promise<string[] | undefined> {
  try {
    return await withWebApp(settings.webApp, (webApp) => webApp.nodes());
  } catch {
    return undefined;
  }
}

/** @param most callbacks that are taken. @default all that there are */
async function look(queueUrl: string, most = Number.POSITIVE_INFINITY) {
  const arrived: Arrived[] = [];
  const receiptHandles: string[] = [];
  const unreadable = new Set<string>();
  let oddEntries = 0;
  for (;;) {
    const isFull = receiptHandles.length >= most;
    const received = isFull ? [] : await receiveCallbacks(queueUrl, NOTIFICATION_HIDDEN_SECONDS);
    if (received.length === 0) return { arrived, receiptHandles, unreadable: unreadable.size + oddEntries };
    for (const { callback, deployments, receiptHandle } of received) {
      const { notifications, unreadable } = parseGcCallback(callback);
      if (notifications.length === 0 && unreadable > 0) continue;
      oddEntries += unreadable;
      arrived.push(...notifications.map((notification) => ({ notification, deployments })));
      receiptHandles.push(receiptHandle);
    }
    const unread = received.filter(({ receiptHandle }) => !receiptHandles.includes(receiptHandle));
    for (const { callback } of unread) unreadable.add(JSON.stringify(callback) ?? '');
    // Given back at once, so that its receives are used up and it moves to the dead-letter queue in this very look.
    await hideCallbacks(
      queueUrl,
      unread.map(({ receiptHandle }) => ({ receiptHandle, seconds: 0 })),
    );
  }
}

function callOf(
  asked: Asked,
  { heard, pending, gone, setAside, doubtful, unnamed }: Answers,
  awaited: StillAwaited,
): GcCall {
  // What names nobody stays in doubt whatever its date is.
  const undated = Object.keys(heard).filter((node) => isAwaited(awaited, node) && !unnamed.includes(node));
  const doubts = { unnamed, undated };
  switch (asked.kind) {
    case 'processing':
      return {
        kind: 'answered',
        heard: Object.values(heard),
        missing: pending,
        gone,
        setAside,
        doubtful,
        doubts,
      };
    case 'interrupted':
      return { kind: 'interrupted', heard: Object.values(heard), doubts };
    default:
      return { kind: asked.kind, reason: asked.reason };
  }
}
