import { SINGLE_INSTANCE } from './nodes.ts';
import type { GcKind, GcNotification } from './notifications.ts';

/** A notification, as it came by the bus. */
export interface Arrived {
  notification: GcNotification;
  /** What the webhook named as the deployment, in the event's `resources`; ARNs beside it name none. */
  deployments: readonly string[];
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
}

export const NOTHING_HEARD: Heard = { heard: {}, setAside: [], doubtful: [], unnamed: [] };

/** So many are kept with their description, each in the run's history; the others count. */
const MOST_KEPT = 50;
/** So many are described in a sentence. */
const MOST_DESCRIBED = 5;
/** Of what others wrote, in a sentence. */
const SHOWN_CHARACTERS = 200;

/** What callbacks are taken for. */
export interface Hearing {
  kind: GcKind;
  deployment: string;
  /** Those that were asked; `undefined` where that is not known. */
  nodes: readonly string[] | undefined;
}

/** Takes what belongs to a request, and sets the rest aside with its reason. */
export function hear(
  { kind, deployment, nodes }: Hearing,
  before: Heard,
  arrived: readonly Arrived[],
): Heard {
  const heard = { ...before.heard };
  const setAside = [...before.setAside];
  const doubtful = [...before.doubtful];
  const unnamed = [...before.unnamed];
  for (const { notification, deployments } of arrived) {
    // Media are the leader's work alone, whatever it calls itself.
    const node = kind === 'media' ? SINGLE_INSTANCE : notification.node;
    const reason = reasonToSetAside({ kind, deployment, nodes }, { notification, deployments }, node);
    if (reason) {
      setAside.push(setAside.length < MOST_KEPT ? `${describe(notification)} (${reason})` : '');
      continue;
    }
    const other = heard[node];
    // The client may send one twice, and the queue may.
    if (other && JSON.stringify(other) !== JSON.stringify({ ...notification, node })) doubtful.push(node);
    heard[node] = { ...notification, node };
    // Who names several has not told whose it is.
    if (namedIn(deployments).length !== 1 && !isNameOfOne(node, nodes)) unnamed.push(node);
  }
  return { heard, setAside, doubtful: [...new Set(doubtful)], unnamed: [...new Set(unnamed)] };
}

/** A node's name has its container's id, and no other deployment's node has that. */
function isNameOfOne(node: string, nodes: readonly string[] | undefined): boolean {
  return node !== SINGLE_INSTANCE && nodes?.includes(node) === true;
}

function reasonToSetAside(
  { kind, deployment, nodes }: Hearing,
  { notification, deployments }: Arrived,
  node: string,
): string | undefined {
  const named = namedIn(deployments);
  if (named.length > 0 && !named.includes(deployment))
    return `its event names ${named.join(', ').slice(0, SHOWN_CHARACTERS)}`;
  if (notification.kind !== 'unsaid' && notification.kind !== kind) return `it is of ${notification.kind} GC`;
  if (nodes && !nodes.includes(node)) return `of ${nodes.join(', ')} was asked`;
  // One just like the answer to an earlier request is taken: a client that deletes in portions tells the same count of each.
  return undefined;
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
