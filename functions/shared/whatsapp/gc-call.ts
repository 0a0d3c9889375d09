import { SINGLE_INSTANCE } from './nodes.ts';
import type { GcNotification } from './notifications.ts';

/** What became of one request for garbage collection. */
export type GcCall =
  /** `gone`: nodes whose task went away before they notified. */
  | {
      kind: 'answered';
      heard: GcNotification[];
      missing: string[];
      gone: string[];
      /** What came meanwhile and was not of this request. */
      setAside?: readonly string[];
      /** Nodes of which differing notifications came, which cannot be told apart. */
      doubtful?: readonly string[];
      doubts?: Doubts;
    }
  | { kind: 'not-started'; reason: string }
  /** Whether WebApp got the request is not known, for the function was ended while it asked. */
  | { kind: 'interrupted'; heard: GcNotification[]; doubts?: Doubts }
  | { kind: 'refused'; reason: string };

/** Nodes whose notification may be of another request, for it bears no name and no date. */
export interface Doubts {
  /** It may be another deployment's. */
  unnamed: readonly string[];
  /** It may be the answer to a request of an earlier run, which had none when it ended. */
  undated: readonly string[];
  /** It is just like the answer to an earlier request of the run, and counts what was deleted: the client may have sent that twice. */
  repeated?: readonly string[];
}

/** Whether every node that was asked is done without errors, and nothing leaves it in doubt. */
export function isComplete(call: GcCall | undefined): boolean {
  const { unnamed = [], undated = [], repeated = [] } = doubtsOf(call) ?? {};
  return unnamed.length + undated.length + repeated.length === 0 && saysComplete(call);
}

/** What leaves a call in doubt. */
export function doubtsOf(call: GcCall | undefined): Doubts | undefined {
  return call?.kind === 'answered' || call?.kind === 'interrupted' ? call.doubts : undefined;
}

/** Whether what came says that every node is done without errors. */
export function saysComplete(call: GcCall | undefined): boolean {
  if (call?.kind !== 'answered' && call?.kind !== 'interrupted') return false;
  // All of nothing is nothing.
  if (call.heard.length === 0) return false;
  const allHeard =
    call.kind === 'answered'
      ? call.missing.length + call.gone.length + (call.doubtful ?? []).length === 0
      : call.heard.some(({ node }) => node === SINGLE_INSTANCE);
  return allHeard && call.heard.every(({ status }) => status === 'complete');
}
