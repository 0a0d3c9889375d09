import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { Problem } from '../run/report.ts';
import { type Asked, ask, type OfWebApp } from './ask-for-gc.ts';
import { awaitedByEarlierRuns, isAwaited, type StillAwaited, stillAwaited } from './awaited-callbacks.ts';
import { deleteCallbacks, hideCallbacks, receiveCallbacks } from './callback-queue.ts';
import type { CertificateLife } from './certificate.ts';
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

/**
 * Asks for GC until every node's callback came without errors, the calls are used up or the window ends.
 * @param ofClient has a WebApp do something. @default the client's own
 */
export async function collectGarbage(
  kind: GcKind,
  settings: GcSettings,
  endBy: number,
  context: DurableContext,
  ofClient: OfWebApp = withWebApp,
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
  const earlier: Heard[] = [];
  let previous: Previous | undefined;

  for (let number = 1; number <= maximumCalls; number++) {
    const stale = await context.step(`discard stale notifications ${number}`, async () => {
      const { arrived, receiptHandles, unreadable } = await look(settings.notificationsQueueUrl);
      await deleteCallbacks(settings.notificationsQueueUrl, receiptHandles);
      return {
        unreadable,
        // What comes in the pause is of the request before.
        came: previous ? 0 : arrived.length,
        failed: previous ? [] : failuresOf(arrived, settings.deployment),
        late: previous ? hear(previous.hearing, previous.answers, arrived) : undefined,
        at: Date.now(),
      };
    });
    unreadable += stale.unreadable;
    collected.ignored += stale.came;
    if (number === 1) late.push(...stale.failed);
    if (previous && stale.late) {
      const call = callOf(previous.asked, withLate(previous.answers, stale.late), previous.awaited);
      collected.ignored += stale.late.setAside.length - previous.answers.setAside.length;
      collected.calls[collected.calls.length - 1] = call;
      collected.awaited = stillAwaited(previous.awaited, call);
      earlier[earlier.length - 1] = stale.late;
      if (isComplete(call)) break;
    }
    const asked = await ask({ kind, settings, endBy, ofClient }, number, context);
    if (asked.kind === 'processing' && asked.certificate) collected.certificate = asked.certificate;
    const deadline = Math.min(asked.at + callbackTimeoutSeconds * 1000, endBy);
    const hearing = {
      kind,
      deployment: settings.deployment,
      nodes: nodesOf(asked),
      since: stale.at,
      earlier: earlier.map(({ said, events }) => ({ said, events })),
    };
    const answers = await waitForCallbacks({ hearing, settings, ofClient }, asked, number, deadline, context);
    const call = callOf(asked, answers, collected.awaited);
    collected.calls.push(call);
    const isAsked = asked.kind === 'processing' || asked.kind === 'interrupted';
    previous = isAsked ? { hearing, asked, answers, awaited: collected.awaited } : undefined;
    if (isAsked) earlier.push(answers);
    collected.awaited = stillAwaited(collected.awaited, call);
    collected.ignored += answers.setAside.length;
    unreadable += answers.unreadable;

    // Twice as long after each call in a row that did not start, so that a restart does not use up the calls.
    notStarted = call.kind === 'not-started' ? notStarted + 1 : 0;
    const doubts = doubtsOf(call);
    const isRepeated = saysComplete(call) && (doubts?.repeated ?? []).length > 0;
    const pause = Math.max(
      Math.min(
        pauseSeconds * 2 ** Math.max(0, notStarted - 1),
        Math.max(pauseSeconds, LONGEST_PAUSE_SECONDS),
      ),
      doubts?.undated.length || isRepeated ? LATEST_CALLBACK_SECONDS : 0,
    );
    const another = number < maximumCalls && answers.lookedAt + pause * 1000 < endBy;
    // A webhook that names nobody names nobody in the next call either.
    const isUnnamedAlone = doubts?.undated.length === 0 && !isRepeated && saysComplete(call);
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

function asMessages({ notification, ...event }: Arrived): Arrived {
  return { notification: { ...notification, kind: 'message' }, ...event };
}

interface Listening {
  hearing: Hearing;
  settings: GcSettings;
  ofClient: OfWebApp;
}

/** A request whose callbacks may still come. */
interface Previous {
  hearing: Hearing;
  asked: Asked;
  answers: Answers;
  /** What was awaited before it. */
  awaited: StillAwaited;
}

function withLate(answers: Answers, late: Heard): Answers {
  const isSilent = (node: string) => late.heard[node] === undefined;
  return {
    ...answers,
    ...late,
    pending: answers.pending.filter(isSilent),
    gone: answers.gone.filter(isSilent),
  };
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
  listening: Listening,
  asked: Asked,
  number: number,
  deadline: number,
  context: DurableContext,
): Promise<Answers> {
  const { hearing, settings } = listening;
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
    (state) => lookForCallbacks(listening, state),
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

async function lookForCallbacks(
  { hearing, settings, ofClient }: Listening,
  before: Answers,
): Promise<Answers> {
  await deleteCallbacks(settings.notificationsQueueUrl, before.receiptHandles);
  const { arrived, receiptHandles, unreadable } = await look(settings.notificationsQueueUrl, MOST_IN_A_LOOK);
  let { pending, gone, nodesCheckedAt } = before;
  const heardNow = hear(hearing, before, arrived);
  pending = pending.filter((node) => !heardNow.heard[node]);

  const now = Date.now();
  const named = pending.filter((node) => node !== SINGLE_INSTANCE);
  if (named.length > 0 && now - nodesCheckedAt >= NODE_CHECK_SECONDS * 1000) {
    nodesCheckedAt = now;
    const present = await presentNodes(settings, ofClient);
    const vanished = present ? named.filter((node) => !present.includes(node)) : [];
    gone = [...gone, ...vanished];
    pending = pending.filter((node) => !vanished.includes(node));
  }
  return {
    ...heardNow,
    pending,
    gone,
    unreadable: before.unreadable + unreadable,
    receiptHandles,
    lookedAt: now,
    nodesCheckedAt,
  };
}

/** `undefined` while WebApp cannot tell: then a silent node is waited for until its time is up. */
async function presentNodes(settings: GcSettings, ofClient: OfWebApp): Promise<string[] | undefined> {
  try {
    return await ofClient(settings.webApp, (webApp) => webApp.nodes());
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
    for (const { callback, receiptHandle, ...event } of received) {
      const { notifications, unreadable } = parseGcCallback(callback);
      if (notifications.length === 0 && unreadable > 0) continue;
      oddEntries += unreadable;
      arrived.push(...notifications.map((notification) => ({ notification, ...event })));
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
  { heard, pending, gone, setAside, doubtful, unnamed, repeated }: Answers,
  awaited: StillAwaited,
): GcCall {
  // What names nobody stays in doubt whatever its date is.
  const undated = Object.keys(heard).filter((node) => isAwaited(awaited, node) && !unnamed.includes(node));
  const doubts = { unnamed, undated, repeated };
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
