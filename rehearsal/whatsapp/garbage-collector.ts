import { randomBytes } from 'node:crypto';
import type { Clock } from '../aws/clock.ts';
import type { Callbacks } from './callbacks.ts';
import { type Answer, failure, success } from './envelope.ts';
import type { MediaFolder } from './media-folder.ts';
import { MEDIA_UNUSED_MS } from './message-rows.ts';
import type { ClientRows } from './message-store.ts';

/** One CoreApp's work on one GC. */
export interface Collection {
  kind: 'message' | 'media';
  /** `host:container`; undefined on a single instance and for media. */
  node: string | undefined;
  /** Whether a request asked for it; the client may also begin by itself. */
  asked: boolean;
  /** Epoch milliseconds on the clock. */
  startedAt: number;
  endedAt?: number;
  /** `abandoned`: its container was replaced. */
  outcome: 'running' | 'complete' | 'failed' | 'abandoned';
  /** Rows deleted so far, those of media with their files. */
  deleted: number;
  /** Those of each statement, in order. `time`: epoch milliseconds on the clock. */
  statements: { time: number; deleted: number }[];
}

/** How a collector works. */
export interface CollectorOptions {
  store: ClientRows;
  clock: Clock;
  callbacks: Callbacks;
  /** Where the files of media lie. @default nowhere: there are entries only */
  media?: MediaFolder | undefined;
  /** 1: a single instance, whose answers and callbacks name no node. More: Multiconnect with so many CoreApps. */
  coreApps: number;
  /** Rows that one CoreApp deletes in one GC. If there are more, it ends with errors. @default unlimited */
  rowsPerCall?: number;
  /** By the clock. @default 2000 */
  rowsPerSecond?: number;
  /** Rows deleted by one statement. @default 10000 */
  rowsPerStatement?: number;
  /** From the request to the first deletion, by the clock. @default 1 */
  startSeconds?: number;
  /**
   * What a request does where a GC runs already. What the client does is unknown. `ignore`: answers
   * "processing", the running one is it, and there is one callback. `refuse`: error 1014. `again`: another one follows.
   * @default 'ignore'
   */
  whileRunning?: 'ignore' | 'refuse' | 'again';
  /** The key above `items_deleted` in media GC's success: Meta's documentation shows `message`, its request collection `media`. @default 'message' */
  mediaCallbackKey?: 'message' | 'media';
  /** Called when a collection begins and when it ended. */
  onCollection?: (collection: Collection) => void;
}

/** What can go wrong with GC. May be changed at any time. */
export interface CollectorFaults {
  /** GC requests still to be refused as if no CoreApp could be reached. */
  unreachableCoreApp: number;
  /** GC requests whose collections will still delete nothing and end with errors. */
  failingRequests: number;
  /** What the next requests are answered, as the value of `gc`, without anything that begins. */
  answers: object[];
  /** Whether collections delete nothing and say that they are complete. */
  deletesNothing: boolean;
  /**
   * What reaches the business at a collection's end. `failed-then-complete` sends both, in this order;
   * `also-unknown-node` sends that of a node which never was there, first.
   */
  callback: 'once' | 'never' | 'twice' | 'failed-then-complete' | 'also-unknown-node';
}

/** The CoreApps of a deployment, as far as they collect garbage. */
export interface GarbageCollector {
  faults: CollectorFaults;
  /** All collections so far. */
  collections: readonly Collection[];
  /** The CoreApps' names, `host:container`, also on a single instance. */
  nodes(): string[];
  /** `PUT /v1/services/{kind}/gc` of a request that may. */
  request(kind: Collection['kind']): Answer;
  /** The client begins by itself, and notifies as if it had been asked. */
  collectUnasked(kind: Collection['kind']): void;
  /** A new container for a CoreApp: what the old one was doing ends without a callback. Returns the new name. */
  replaceNode(name: string): string;
  close(): void;
}

/** A CoreApp with its own container and shard, or the leader in its work on media. */
interface Worker {
  name: string;
  replaced: boolean;
  /** The collection it is at, and those that are to follow. */
  queue: { collection: Collection; fails: boolean }[];
  /** What there is to delete now. */
  garbage(): Garbage;
}

interface Garbage {
  /** Deletes at most so many. `done`: there are no more than those that it looked at. */
  delete(limit: number): Promise<{ deleted: number; done: boolean }>;
  /** Whether some is there that was to be deleted. */
  remains(): Promise<boolean>;
}

/** Collects garbage by deleting real rows, and the files of media, in the clock's time. */
export function garbageCollector(options: CollectorOptions): GarbageCollector {
  const { store, clock, callbacks, media, coreApps, rowsPerCall = Infinity, rowsPerSecond = 2_000 } = options;
  const { rowsPerStatement = 10_000, startSeconds = 1, whileRunning = 'ignore' } = options;
  const { mediaCallbackKey = 'message', onCollection = () => {} } = options;
  const isCluster = coreApps > 1;
  const coreAppWorkers = Array.from({ length: coreApps }, (_, shard) =>
    messageWorker(store, shard, coreApps),
  );
  const leader = mediaWorker(store, clock, media);
  const collections: Collection[] = [];
  const faults: CollectorFaults = {
    unreachableCoreApp: 0,
    failingRequests: 0,
    answers: [],
    deletesNothing: false,
    callback: 'once',
  };
  let closed = false;

  const workersFor = (kind: Collection['kind']) => (kind === 'message' ? coreAppWorkers : [leader]);

  function request(kind: Collection['kind']): Answer {
    if (faults.unreachableCoreApp > 0) {
      faults.unreachableCoreApp -= 1;
      const host = coreAppWorkers[0]?.name.split(':')[0];
      return failure(1014, `Connection timed out. Please check if wacore is running: ${host}:6252`);
    }
    const instead = faults.answers.shift();
    if (instead) return success({ services: { [kind]: { gc: instead } } });
    if (whileRunning === 'refuse' && workersFor(kind).some(({ queue }) => queue.length > 0)) {
      return failure(1014, 'Garbage collection is already running.');
    }
    const fails = faults.failingRequests > 0;
    if (fails) faults.failingRequests -= 1;
    start(kind, true, fails);
    const processing = { status: 'processing' };
    const gc =
      kind === 'message' && isCluster
        ? Object.fromEntries(coreAppWorkers.map(({ name }) => [name, processing]))
        : processing;
    return success({ services: { [kind]: { gc } } });
  }

  function start(kind: Collection['kind'], asked: boolean, fails: boolean): void {
    for (const worker of workersFor(kind)) {
      if (worker.queue.length > 0 && whileRunning !== 'again') continue;
      const node = kind === 'message' && isCluster ? worker.name : undefined;
      const collection: Collection = {
        kind,
        node,
        asked,
        startedAt: clock.now(),
        outcome: 'running',
        deleted: 0,
        statements: [],
      };
      collections.push(collection);
      onCollection(collection);
      worker.queue.push({ collection, fails });
      if (worker.queue.length === 1) clock.at(clock.now() + startSeconds * 1000, () => work(worker));
    }
  }

  async function work(worker: Worker): Promise<void> {
    for (let next = worker.queue[0]; next !== undefined && !closed; next = worker.queue[0]) {
      const { collection, fails } = next;
      const isRemaining = fails || (await collect(worker, collection));
      if (closed) return;
      collection.endedAt = clock.now();
      collection.outcome = worker.replaced ? 'abandoned' : isRemaining ? 'failed' : 'complete';
      onCollection(collection);
      worker.queue.shift();
      if (!worker.replaced) await notify(collection);
    }
  }

  /** Deletes what may be deleted in one call. Returns whether garbage remains. */
  async function collect(worker: Worker, collection: Collection): Promise<boolean> {
    if (faults.deletesNothing) return false;
    const garbage = worker.garbage();
    while (!closed && !worker.replaced) {
      const limit = Math.min(rowsPerStatement, rowsPerCall - collection.deleted);
      if (limit <= 0) return garbage.remains();
      const { deleted, done } = await garbage.delete(limit);
      collection.deleted += deleted;
      collection.statements.push({ time: clock.now(), deleted });
      await clock.sleep((deleted / rowsPerSecond) * 1000);
      if (done) return garbage.remains();
    }
    return true;
  }

  async function notify(collection: Collection): Promise<void> {
    const payload = notification(collection, mediaCallbackKey);
    switch (faults.callback) {
      case 'never':
        return;
      case 'twice':
        await callbacks.send(payload);
        break;
      case 'failed-then-complete':
        await callbacks.send(notification({ ...collection, outcome: 'failed' }, mediaCallbackKey));
        break;
      case 'also-unknown-node':
        await callbacks.send(notification({ ...collection, node: nodeName(coreApps + 1) }, mediaCallbackKey));
        break;
      case 'once':
        break;
    }
    await callbacks.send(payload);
  }

  return {
    faults,
    collections,
    nodes: () => coreAppWorkers.map(({ name }) => name),
    request,
    collectUnasked: (kind) => start(kind, false, false),
    replaceNode(name) {
      const shard = coreAppWorkers.findIndex((worker) => worker.name === name);
      const old = coreAppWorkers[shard];
      if (old === undefined) throw new Error(`WebApp's stand-in has no node ${name}`);
      old.replaced = true;
      const worker = messageWorker(store, shard, coreApps);
      coreAppWorkers[shard] = worker;
      return worker.name;
    },
    close() {
      closed = true;
    },
  };
}

function messageWorker(store: ClientRows, shard: number, shards: number): Worker {
  return {
    name: nodeName(shard + 1),
    replaced: false,
    queue: [],
    garbage() {
      let after = '0';
      return {
        async delete(limit) {
          const { deleted, last } = await store.deleteMessages({ shard, shards, after, limit });
          after = last;
          return { deleted, done: deleted < limit };
        },
        remains: () => store.hasGarbage(shard, shards, after),
      };
    },
  };
}

function mediaWorker(store: ClientRows, clock: Clock, media: MediaFolder | undefined): Worker {
  return {
    name: 'leader',
    replaced: false,
    queue: [],
    garbage() {
      const unusedSince = clock.now() - MEDIA_UNUSED_MS;
      let after = '0';
      return {
        async delete(limit) {
          const entries = await store.unusedMedia(unusedSince, after, limit);
          after = entries.at(-1)?.id ?? after;
          // What has its file still keeps its entry, so that the next GC tries again.
          const deleted = media ? await media.delete(entries) : entries;
          await store.deleteMedia(deleted);
          return { deleted: deleted.length, done: entries.length < limit };
        },
        remains: () => store.hasUnusedMedia(unusedSince),
      };
    },
  };
}

/**
 * The callback of a collection, as Meta's documentation shows it. Of a failed message GC it shows none:
 * that of media is taken, with the count that is true.
 */
function notification(collection: Collection, mediaKey: 'message' | 'media'): object {
  const { kind, node, outcome, deleted } = collection;
  const isFailed = outcome === 'failed';
  const gc = {
    [kind === 'message' ? 'messages_deleted' : 'items_deleted']: deleted,
    ...(isFailed && {
      errors: [
        { code: 1014, details: `Could not delete ${kind === 'message' ? 'all messages' : 'media files'}` },
      ],
    }),
    ...(node !== undefined && { node }),
    status: isFailed ? 'failed' : 'complete',
  };
  return { services: [{ [kind === 'message' || isFailed ? kind : mediaKey]: { gc } }] };
}

/** Host name and container id, as Multiconnect's answers name a CoreApp. */
function nodeName(number: number): string {
  return `wacore${number}:${randomBytes(6).toString('hex')}`;
}
