import type { Problem } from '../run/report.ts';
import type { RunResult } from '../run/run-job.ts';
import type { CertificateLife } from './certificate.ts';
import type { CollectedGarbage } from './collect-garbage.ts';
import { type Doubts, doubtsOf, type GcCall, isComplete, saysComplete } from './gc-call.ts';
import { someOf } from './hear.ts';
import { SINGLE_INSTANCE } from './nodes.ts';
import type { GcKind, GcNotification } from './notifications.ts';
import { CERTIFICATE_FIGURE, CERTIFICATE_WARNING_DAYS, type GcSettings } from './settings.ts';

/** The figure that counts what was deleted. */
const FIGURES = { message: 'messagesDeleted', media: 'itemsDeleted' } as const;

/** The figure of what may stand twice in that one. */
const TWICE_FIGURES = { message: 'messagesPerhapsCountedTwice', media: 'itemsPerhapsCountedTwice' } as const;

const TABLES = { message: 'messages', media: 'media' } as const;

/** What errors may come of besides many rows. */
const LOOK_FIRST = {
  message: '',
  media:
    'Look whether CoreApp can delete files on the media volume: it may be mounted read-only, or files belong to another user. ',
} as const;

/** What a run that collected garbage reports of it. */
export function gcResult(
  kind: GcKind,
  settings: GcSettings,
  { calls, awaited, ignored, problems, certificate }: CollectedGarbage,
): RunResult {
  const lastCall = calls.at(-1);
  const nodes = deletedPerNode(calls);
  const deleted = nodes.reduce((sum, node) => sum + node.deleted, 0);
  const twice = repeatedIn(calls).reduce((sum, { deleted = 0 }) => sum + deleted, 0);
  return {
    outcome: outcomeOf(lastCall, deleted),
    figures: {
      calls: calls.length,
      [FIGURES[kind]]: deleted,
      ...(twice > 0 && { [TWICE_FIGURES[kind]]: twice }),
      notificationsIgnored: ignored,
      ...(certificate && { [CERTIFICATE_FIGURE]: certificate.daysLeft }),
    },
    problems: [
      ...problemsOf(kind, settings, lastCall),
      ...earlierDoubts(calls, settings.deployment),
      ...repeatedProblems(kind, calls, settings.deployment),
      ...problems,
      ...(certificate && certificate.daysLeft < CERTIFICATE_WARNING_DAYS
        ? [certificateProblem(settings, certificate)]
        : []),
    ],
    details: {
      // Each request by itself: one that was refused or did not begin is none that had to be repeated.
      calls: calls.map((call) => ({
        result: call.kind === 'answered' && !isComplete(call) ? 'answered with errors' : call.kind,
        ...('reason' in call && { reason: call.reason }),
      })),
      nodes: nodes.map(({ node, deleted, status }) => ({ node, [FIGURES[kind]]: deleted, status })),
      // What the next run must not take for its own.
      callbacksAwaited: awaited,
    },
  };
}

function certificateProblem({ deployment, webApp }: GcSettings, { end, daysLeft }: CertificateLife): Problem {
  return {
    what: `WebApp's certificate, or the authority that is configured for it, ends on ${end.slice(0, 10)}, in ${daysLeft} days.`,
    where: `${deployment}, ${webApp.url}`,
    next: 'Renew it in WebApp, put the new certificate, or its authority, in certificateAuthority (both may stand in the file for a while), and deploy. From its end on every run fails.',
  };
}

function outcomeOf(lastCall: GcCall | undefined, deleted: number): RunResult['outcome'] {
  if (isComplete(lastCall)) return 'succeeded';
  const someNodeDone =
    lastCall?.kind === 'answered' && lastCall.heard.some(({ status }) => status === 'complete');
  return someNodeDone || deleted > 0 ? 'partial' : 'failed';
}

function cameInstead(setAside: readonly string[] = []): string {
  return setAside.length > 0 ? ` What came and was not taken: ${someOf(setAside)}.` : '';
}

/** What was told in the same words as an answer to an earlier request. */
function repeatedIn(calls: readonly GcCall[]): GcNotification[] {
  return calls.flatMap((call) =>
    call.kind === 'answered' || call.kind === 'interrupted'
      ? call.heard.filter(({ node }) => call.doubts?.repeated?.includes(node))
      : [],
  );
}

function repeatedProblems(kind: GcKind, calls: readonly GcCall[], deployment: string): Problem[] {
  const where = whereIn(deployment);
  const blocked = saysComplete(calls.at(-1)) ? (doubtsOf(calls.at(-1))?.repeated ?? []) : [];
  return repeatedIn(calls).map(({ node, deleted, status }) => ({
    what: `A callback came just like the answer to an earlier request of this run (${status}, ${deleted} deleted): whether the client sent that one twice cannot be told apart, for they bear no date, so that ${FIGURES[kind]} may have these ${deleted} twice${blocked.includes(node) ? ', and that it is no success' : ''}.`,
    where: where(node),
    next: 'Nothing, if the client deletes in equal portions. The rows before and after tell, where databases are configured.',
  }));
}

interface Node {
  node: string;
  deleted: number;
  status: string;
}

function deletedPerNode(calls: GcCall[]): Node[] {
  const nodes = new Map<string, Node>();
  for (const call of calls) {
    if (call.kind !== 'answered' && call.kind !== 'interrupted') continue;
    for (const { node, deleted, status } of call.heard) {
      const before = nodes.get(node)?.deleted ?? 0;
      nodes.set(node, { node, deleted: before + (deleted ?? 0), status });
    }
    if (call.kind !== 'answered') continue;
    for (const [status, names] of Object.entries({ missing: call.missing, gone: call.gone }))
      for (const node of names) nodes.set(node, { node, deleted: nodes.get(node)?.deleted ?? 0, status });
  }
  return [...nodes.values()];
}

function problemsOf(
  kind: GcKind,
  { deployment, webApp, gc, notOnBusAlarm }: GcSettings,
  call: GcCall | undefined,
): Problem[] {
  if (!call || isComplete(call)) return [];
  const where = whereIn(deployment);
  switch (call.kind) {
    case 'refused':
      return [
        {
          what: call.reason,
          where: `${deployment}, ${webApp.url}`,
          next: `Nothing was collected. Mend this, then start ${kind}-gc by hand.`,
        },
      ];
    case 'not-started':
      return [
        {
          what: `GC did not start: ${call.reason}`,
          where: `${deployment}, ${webApp.url}`,
          next: 'Check that WebApp and every CoreApp run and reach each other. The next scheduled run tries again.',
        },
      ];
    case 'interrupted':
      return [
        ...(saysComplete(call)
          ? []
          : [
              {
                what: `The function was ended while it asked for GC, and ${call.heard.length > 0 ? `of which nodes is not known. Callbacks came of ${someOf(call.heard.map(({ node, status }) => `${node} (${status})`))}.` : 'no callback told the outcome.'}`,
                where: deployment,
                next: 'The next scheduled run asks again.',
              },
            ]),
        ...failureProblems(kind, call.heard, where),
        ...doubtProblems(call.doubts, deployment),
      ];
    case 'answered':
      return [
        ...failureProblems(kind, call.heard, where),
        ...call.missing.map((node) => ({
          what: `No callback of this request came within ${gc.callbackTimeoutSeconds} seconds, or before the window ended.${cameInstead(call.setAside)}`,
          where: where(node),
          next: call.setAside?.length
            ? "Look at these first: what was asked for may be among them, in a form that was not expected, or another deployment's callbacks come here. Then check that the webhook answers 200 and puts all that it receives on the bus."
            : "Check that the business's webhook answers 200 and puts what it receives on the callbacks bus.",
          ...(notOnBusAlarm && { toldBy: { alarm: notOnBusAlarm } }),
        })),
        ...doubtfulProblems(call.doubtful, deployment),
        ...doubtProblems(call.doubts, deployment),
        ...call.gone.map((node) => ({
          what: `The node went away before its callback came, and the calls or the window ended before it was asked anew.${cameInstead(call.setAside)}`,
          where: where(node),
          next: 'The next scheduled run asks its successor. See in ECS why the task was replaced.',
        })),
      ];
  }
}

function whereIn(deployment: string): (node: string) => string {
  return (node) => (node === SINGLE_INSTANCE ? deployment : `${deployment}, node ${node}`);
}

function failureProblems(
  kind: GcKind,
  heard: readonly GcNotification[],
  where: (node: string) => string,
): Problem[] {
  return heard
    .filter(({ status }) => status === 'failed')
    .map(({ node, errors }) => ({
      what: `GC ended with errors: ${errors.join('; ') || 'none were named'}.`,
      where: where(node),
      next: `${LOOK_FIRST[kind]}With more than 10 million rows in the table ${TABLES[kind]} several nights may be needed; raise maximumCalls or widen the window if the rows do not fall.`,
    }));
}

/** What an earlier call left in doubt is in the figures, however the last one ended. */
function earlierDoubts(calls: readonly GcCall[], deployment: string): Problem[] {
  const last = calls.at(-1);
  const of = (nodesIn: (call: GcCall | undefined) => readonly string[] | undefined) =>
    [...new Set(calls.flatMap((call) => nodesIn(call) ?? []))].filter(
      (node) => !nodesIn(last)?.includes(node),
    );
  return [
    ...doubtfulProblems(
      of((call) => (call?.kind === 'answered' ? call.doubtful : undefined)),
      deployment,
    ),
    ...doubtProblems(
      { unnamed: of((call) => doubtsOf(call)?.unnamed), undated: of((call) => doubtsOf(call)?.undated) },
      deployment,
    ),
  ];
}

function doubtfulProblems(nodes: readonly string[] = [], deployment: string): Problem[] {
  return nodes.map((node) => ({
    what: 'More than one callback came, and they differ: which of them is of this request cannot be told apart, for a callback bears neither its request nor a date.',
    where: whereIn(deployment)(node),
    next: 'Have the webhook name the deployment in each event (Resources: [DEPLOYMENT]), and put on this bus the callbacks of this deployment only. What the last one told is reported.',
  }));
}

function doubtProblems(
  { unnamed, undated }: Doubts = { unnamed: [], undated: [] },
  deployment: string,
): Problem[] {
  const where = whereIn(deployment);
  return [
    ...unnamed.map((node) => ({
      what: "A callback came that names nobody: whether it is this deployment's or another one's cannot be told apart, so that it is no success.",
      where: where(node),
      next: `Have the webhook name the deployment in each event that it puts on the bus: Resources: ['${deployment}'] (README, "The webhook"). What it told is reported.`,
    })),
    ...undated.map((node) => ({
      what: 'A callback came while one of an earlier run was still out, or may have been: which of the two it is cannot be told apart, for they bear no date, so that it is no success.',
      where: where(node),
      next: 'The next run tells: what is older will have come by then. See in the reports of the runs before why their callbacks did not come (does the webhook answer 200?).',
    })),
  ];
}
