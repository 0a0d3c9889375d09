import { createHash } from 'node:crypto';
import { SINGLE_INSTANCE } from './nodes.ts';
import type { GcKind, GcNotification } from './notifications.ts';

/** A notification, as it came by the bus. */
export interface Arrived {
  notification: GcNotification;
  /** What the webhook named as the deployment, in the event's `resources`; ARNs beside it name none. */
  deployments: readonly string[];
  /** The event's own name. */
  eventId?: string;
  /** It was on its way by then: epoch milliseconds. */
  sentBy?: number;
}

/** What was heard of one request. */
export interface Heard {
  /** By node. */
  heard: Record<string, GcNotification>;
  /** What came and was not taken: what it was, and why. */
  setAside: readonly string[];
  /** Nodes of which differing notifications came, without anything that says which of them is this request's. */
  doubtful: readonly string[];
  /** Nodes of which one came that nothing shows to be this deployment's: neither its event nor a node's name. */
  unnamed: readonly string[];
  /** Nodes of which one came that is shown to be this deployment's: what names nobody does not take its place. */
  named: readonly string[];
  /** Nodes of which one came just like the answer to an earlier request: the client may have sent that twice. */
  repeated: readonly string[];
  /** The names of the events that were taken. */
  events: readonly string[];
  /** What they said: a digest of each. */
  said: readonly string[];
}

export const NOTHING_HEARD: Heard = {
  heard: {},
  setAside: [],
  doubtful: [],
  unnamed: [],
  named: [],
  repeated: [],
  events: [],
  said: [],
};

/** So many are kept with their description, each in the run's history; the others count. */
const MOST_KEPT = 50;
/** So many are described in a sentence. */
const MOST_DESCRIBED = 5;
/** Of what others wrote, in a sentence. */
const SHOWN_CHARACTERS = 200;
/** Of so many events the names, and what they said, are kept on record. */
const MOST_EVENTS = 200;
const DIGEST_CHARACTERS = 16;
const NAMES_NOBODY = "it names nobody, and another one is shown to be this deployment's";
/** By so much clocks may differ. */
const CLOCKS_DIFFER_MS = 2000;

/** What callbacks are taken for. */
export interface Hearing {
  kind: GcKind;
  deployment: string;
  /** Those that were asked; `undefined` where that is not known. */
  nodes: readonly string[] | undefined;
  /** Before the request was made: what was sent earlier is no answer to it. Epoch milliseconds. */
  since?: number;
  /** What was taken for earlier requests of the same run. */
  earlier?: readonly Pick<Heard, 'said' | 'events'>[];
}

/** Takes what belongs to a request, and sets the rest aside with its reason. */
export function hear(hearing: Hearing, before: Heard, arrived: readonly Arrived[]): Heard {
  const { kind, nodes, earlier = [] } = hearing;
  const heard = { ...before.heard };
  const setAside = [...before.setAside];
  let doubtful = [...before.doubtful];
  let unnamed = [...before.unnamed];
  let repeated = [...before.repeated];
  let words = [...before.said];
  const named = new Set(before.named);
  const events = [...before.events];
  const putAside = (notification: GcNotification, reason: string) =>
    void setAside.push(setAside.length < MOST_KEPT ? `${describe(notification)} (${reason})` : '');
  const forget = (node: string, digest: string) => {
    const isOther = (each: string) => each !== node;
    doubtful = doubtful.filter(isOther);
    unnamed = unnamed.filter(isOther);
    repeated = repeated.filter(isOther);
    words = words.filter((each) => each !== digest);
    delete heard[node];
  };
  for (const one of arrived) {
    const { notification, deployments, eventId } = one;
    // Media are the leader's work alone, whatever it calls itself.
    const node = kind === 'media' ? SINGLE_INSTANCE : notification.node;
    const reason = reasonToSetAside(hearing, one, node);
    if (reason) {
      putAside(notification, reason);
      continue;
    }
    const said = { ...notification, node };
    // Who names several has not told whose it is.
    const isNamed = namedIn(deployments).length === 1 || isNameOfOne(node, nodes);
    if (!isNamed && named.has(node)) {
      putAside(notification, NAMES_NOBODY);
      continue;
    }
    if (isNamed && heard[node] && !named.has(node)) {
      // Told by nobody's name, it may have been a neighbour's.
      putAside(heard[node], NAMES_NOBODY);
      forget(node, digestOf(heard[node]));
    }
    const other = heard[node];
    // The client may send one twice, and the queue may.
    if (other && digestOf(other) !== digestOf(said)) doubtful.push(node);
    heard[node] = said;
    if (isNamed) named.add(node);
    if (eventId !== undefined) events.push(eventId);
    // A client that deletes in portions tells the same count of each: it is taken, and told.
    words.push(digestOf(said));
    if (said.deleted && earlier.some((call) => call.said.includes(digestOf(said)))) repeated.push(node);
    if (!isNamed) unnamed.push(node);
  }
  return {
    heard,
    setAside,
    doubtful: [...new Set(doubtful)],
    unnamed: [...new Set(unnamed)],
    named: [...named],
    repeated: [...new Set(repeated)],
    events: [...new Set(events)].slice(-MOST_EVENTS),
    said: [...new Set(words)].slice(-MOST_EVENTS),
  };
}

/** Short, for a node's own words may be long, and are kept on record with each look. */
function digestOf(notification: GcNotification): string {
  return createHash('sha256')
    .update(JSON.stringify(notification))
    .digest('base64')
    .slice(0, DIGEST_CHARACTERS);
}

/** A node's name has its container's id, and no other deployment's node has that. */
function isNameOfOne(node: string, nodes: readonly string[] | undefined): boolean {
  return node !== SINGLE_INSTANCE && nodes?.includes(node) === true;
}

function reasonToSetAside(
  { kind, deployment, nodes, since, earlier = [] }: Hearing,
  { notification, deployments, eventId, sentBy }: Arrived,
  node: string,
): string | undefined {
  if (isOfAnother(deployments, deployment))
    return `its event names ${namedIn(deployments).join(', ').slice(0, SHOWN_CHARACTERS)}`;
  if (notification.kind !== 'unsaid' && notification.kind !== kind) return `it is of ${notification.kind} GC`;
  if (nodes && !nodes.includes(node)) return `of ${nodes.join(', ')} was asked`;
  if (eventId !== undefined && earlier.some(({ events }) => events.includes(eventId)))
    return 'an earlier request had this very event for its answer';
  if (since !== undefined && sentBy !== undefined && sentBy + CLOCKS_DIFFER_MS < since)
    return `it was sent by ${new Date(sentBy).toISOString()}, before the request`;
  return undefined;
}

/** Whether an event says that it is another deployment's, and not this one's. */
export function isOfAnother(resources: readonly string[], deployment: string): boolean {
  const named = namedIn(resources);
  return named.length > 0 && !named.includes(deployment);
}

/** An event's resources are ARNs by EventBridge's convention: these name no deployment of ours. */
function namedIn(resources: readonly string[]): string[] {
  return [...new Set(resources)].filter((name) => !name.startsWith('arn:'));
}

function describe({ kind, node, status, deleted }: GcNotification): string {
  const of = kind === 'unsaid' ? 'garbage collection' : `${kind} garbage collection`;
  return `${of} of ${node}: ${status}${deleted === undefined ? ', without a count' : `, ${deleted} deleted`}`;
}

/** A few of what was set aside, for a sentence. */
export function someOf(setAside: readonly string[]): string {
  const more = setAside.length - MOST_DESCRIBED;
  return `${setAside.slice(0, MOST_DESCRIBED).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
