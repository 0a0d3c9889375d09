import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { atMostOnce } from '../run/at-most-once.ts';
import type { Problem } from '../run/report.ts';
import { deleteCallbacks, hideCallbacks, receiveCallbacks } from './callback-queue.ts';
import { type CertificateLife, lifeOf } from './certificate.ts';
import { needsAPerson, WebAppError, WebAppUnreachableError } from './errors.ts';
import { SINGLE_INSTANCE } from './nodes.ts';
import { type GcKind, type GcNotification, parseGcNotifications } from './notifications.ts';
import type { GcSettings } from './settings.ts';
import { withWebApp } from './web-app.ts';

/** How long a notification stays hidden once it was looked at: until the next look has deleted it. */
const NOTIFICATION_HIDDEN_SECONDS = 300;

/** Between two looks at the queue: short while a small database may be done, long later. */
const FIRST_LOOK_SECONDS = 15;
const LONGEST_LOOK_SECONDS = 120;

/** Between two questions of whether a silent node is still there. */
const NODE_CHECK_SECONDS = 300;

/** The longest pause while WebApp or CoreApp is away. */
const LONGEST_PAUSE_SECONDS = 15 * 60;

/** What became of one request for garbage collection. */
export type GcCall =
  /** `gone`: nodes whose task went away before they notified. */
  | { kind: 'answered'; heard: GcNotification[]; missing: string[]; gone: string[] }
  | { kind: 'not-started'; reason: string }
  /** Whether WebApp got the request is not known, for the function was ended while it asked. */
  | { kind: 'interrupted'; heard: GcNotification[] }
  | { kind: 'refused'; reason: string };

export interface CollectedGarbage {
  calls: GcCall[];
  /** Callbacks that were of no node asked, or of the other kind of GC. */
  ignored: number;
  problems: Problem[];
  /** Missing: it was never seen. */
  certificate?: CertificateLife;
}

type Asked =
  | { kind: 'processing'; nodes: string[]; at: number; certificate?: CertificateLife }
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
  const collected: CollectedGarbage = { calls: [], ignored: 0, problems: [] };
  let unreadable = 0;
  let notStarted = 0;

  for (let number = 1; number <= maximumCalls; number++) {
    unreadable += await context.step(`discard stale notifications ${number}`, async () => {
      const stale = await look(settings.notificationsQueueUrl);
      await deleteCallbacks(settings.notificationsQueueUrl, stale.receiptHandles);
      return stale.unreadable;
    });
    const asked = await ask(kind, settings, number, endBy, context);
    if (asked.kind === 'processing' && asked.certificate) collected.certificate = asked.certificate;
    const deadline = Math.min(asked.at + callbackTimeoutSeconds * 1000, endBy);
    const answers = await waitForCallbacks(kind, settings, asked, number, deadline, context);
    const call = callOf(asked, answers);
    collected.calls.push(call);
    collected.ignored += answers.ignored;
    unreadable += answers.unreadable;

    // Twice as long after each call in a row that did not start, so that a restart does not use up the calls.
    notStarted = call.kind === 'not-started' ? notStarted + 1 : 0;
    const pause = Math.min(
      pauseSeconds * 2 ** Math.max(0, notStarted - 1),
      Math.max(pauseSeconds, LONGEST_PAUSE_SECONDS),
    );
    const another = number < maximumCalls && answers.lookedAt + pause * 1000 < endBy;
    if (isComplete(call) || call.kind === 'refused' || !another) break;
    await context.wait(`pause after call ${number}`, { seconds: pause });
  }

  const where = `${settings.deployment}, queue ${settings.notificationsQueueUrl}`;
  if (unreadable > 0)
    collected.problems.push({
      what: `${unreadable} notifications in the queue are not of the form that the client sends.`,
      where,
      next: 'They were left there and end in its dead-letter queue: look at them, and at what the webhook puts on the callbacks bus.',
    });
  return collected;
}

/** Whether every node that was asked is done without errors. */
export function isComplete(call: GcCall | undefined): boolean {
  if (call?.kind !== 'answered' && call?.kind !== 'interrupted') return false;
  const allHeard =
    call.kind === 'answered'
      ? call.missing.length + call.gone.length === 0
      : call.heard.some(({ node }) => node === SINGLE_INSTANCE);
  return allHeard && call.heard.every(({ status }) => status === 'complete');
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
    return await withWebApp(settings.webApp, async (webApp) => {
      const nodes = await webApp.collectGarbage(kind);
      const at = Date.now();
      const certificate = lifeOf(settings.webApp.certificateAuthority, webApp.certificate(), at);
      return { kind: 'processing', nodes, at, ...(certificate && { certificate }) };
    });
  } catch (error) {
    if (needsAPerson(error)) return { kind: 'refused', reason: (error as Error).message, at: Date.now() };
    if (error instanceof WebAppError || error instanceof WebAppUnreachableError)
      return { kind: 'not-started', reason: error.message, at: Date.now() };
    throw error;
  }
}

interface Answers {
  heard: Record<string, GcNotification>;
  pending: string[];
  gone: string[];
  ignored: number;
  unreadable: number;
  /** Looked at, and deleted by the next look, so that a look which was not recorded loses nothing. */
  receiptHandles: string[];
  lookedAt: number;
  nodesCheckedAt: number;
}

async function waitForCallbacks(
  kind: GcKind,
  settings: GcSettings,
  asked: Asked,
  number: number,
  deadline: number,
  context: DurableContext,
): Promise<Answers> {
  const initialState: Answers = {
    heard: {},
    pending: asked.kind === 'processing' ? asked.nodes : [],
    gone: [],
    ignored: 0,
    unreadable: 0,
    receiptHandles: [],
    lookedAt: asked.at,
    nodesCheckedAt: asked.at,
  };
  if (asked.kind !== 'processing' && asked.kind !== 'interrupted') return initialState;

  const answers = await context.waitForCondition(
    `callbacks of call ${number}`,
    (state) => lookForCallbacks(kind, settings, asked, state),
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

async function lookForCallbacks(
  kind: GcKind,
  settings: GcSettings,
  asked: Asked,
  before: Answers,
): Promise<Answers> {
  await deleteCallbacks(settings.notificationsQueueUrl, before.receiptHandles);
  const { notifications, receiptHandles, unreadable } = await look(settings.notificationsQueueUrl);
  const heard = { ...before.heard };
  let { pending, gone, ignored, nodesCheckedAt } = before;
  for (const notification of notifications) {
    // Media are the leader's work alone, whatever it calls itself.
    const node = kind === 'media' ? SINGLE_INSTANCE : notification.node;
    const expected =
      notification.kind === kind && (asked.kind !== 'processing' || asked.nodes.includes(node));
    if (expected) heard[node] = { ...notification, node };
    else ignored += 1;
  }
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
    pending,
    gone,
    ignored,
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

async function look(queueUrl: string) {
  const notifications: GcNotification[] = [];
  const receiptHandles: string[] = [];
  const unreadable = new Set<string>();
  for (;;) {
    const received = await receiveCallbacks(queueUrl, NOTIFICATION_HIDDEN_SECONDS);
    if (received.length === 0) return { notifications, receiptHandles, unreadable: unreadable.size };
    for (const { callback, receiptHandle } of received) {
      const parsed = parseGcNotifications(callback);
      if (!parsed) continue;
      notifications.push(...parsed);
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

function callOf(asked: Asked, { heard, pending, gone }: Answers): GcCall {
  switch (asked.kind) {
    case 'processing':
      return { kind: 'answered', heard: Object.values(heard), missing: pending, gone };
    case 'interrupted':
      return { kind: 'interrupted', heard: Object.values(heard) };
    default:
      return { kind: asked.kind, reason: asked.reason };
  }
}
