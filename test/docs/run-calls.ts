/** How large a client is, as far as the calls of its jobs go by it. */
export interface ClientSize {
  /** In all services, one in each task. */
  containers: number;
  /** Whose containers are cleaned up, or rolled. */
  services: number;
  /** Of them, those that a roll replaces one by one: the CoreApps. The other services are rolled by a deployment. */
  oneByOne: number;
  /** Requests for garbage collection of a run: 1, unless nodes still have errors. */
  collections: number;
}

/** What a run of a job asks of AWS. */
interface RunCalls {
  /** Requests to AWS's interfaces, checkpoints of the durable execution included. */
  calls(size: ClientSize): number;
  /** Durable operations, as Lambda meters them. */
  operations(size: ClientSize): number;
  /** Invocations of its function. */
  invocations(size: ClientSize): number;
  /** The formulas, as the documentation has them. */
  text: { calls: string; operations: string };
}

/**
 * What a run takes of a processor at most: its function's start, and each call with all that is between it and the next.
 * `npm run bench run-seconds` measures them.
 */
export const CPU_SECONDS = { start: 0.6, call: 0.01 };

/** Metrics that `wa-upkeep window` asks for where nothing is named: the callbacks, and where these tell of no week, the queue. */
export const WINDOW_METRICS = 2;

/**
 * By job, and what besides the jobs comes with each run. Tests hold them against what the bundles ask of the stand-in
 * (`test/rehearsal/calls-of-runs.ts`): no more than this, and not much less. A node adds no call: ten notifications come with one receive.
 */
export const RUN_CALLS: Record<string, RunCalls> = {
  'message-gc': {
    calls: ({ collections }) => 20 + 26 * collections,
    operations: ({ collections }) => 13 + 7 * collections,
    invocations: ({ collections }) => 2 + 2 * collections,
    text: { calls: '20 + 26 for each collection', operations: '13 + 7 for each collection' },
  },
  'log-cleanup': {
    calls: ({ containers, services }) => 20 + 2 * services + 2 * containers,
    operations: () => 12,
    invocations: () => 1,
    text: { calls: '20 + 2 for each service + 2 for each container', operations: '12' },
  },
  'database-size': {
    calls: () => 20,
    operations: () => 12,
    invocations: () => 1,
    text: { calls: '20', operations: '12' },
  },
  'credential-rotation': {
    calls: () => 20,
    operations: () => 12,
    invocations: () => 1,
    text: { calls: '20', operations: '12' },
  },
  'credential-rotation that rotates': {
    calls: ({ oneByOne }) => 300 + 70 * oneByOne,
    operations: ({ oneByOne }) => 60 + 8 * oneByOne,
    invocations: ({ oneByOne }) => 15 + 5 * oneByOne,
    text: {
      calls: '300 + 70 for each container that is replaced by itself',
      operations: '60 + 8 for each container that is replaced by itself',
    },
  },
  'application-settings': {
    calls: () => 20,
    operations: () => 10,
    invocations: () => 1,
    text: { calls: '20', operations: '10' },
  },
  'media-gc': {
    calls: ({ collections }) => 16 + 20 * collections,
    operations: ({ collections }) => 9 + 7 * collections,
    invocations: ({ collections }) => 1 + 2 * collections,
    text: { calls: '16 + 20 for each collection', operations: '9 + 7 for each collection' },
  },
  /** It waits for the run of message-gc that it starts: held for three services of a container each. */
  'upgrade-check': {
    calls: () => 150,
    operations: () => 40,
    invocations: () => 8,
    text: { calls: '150 with `prepare`, of three services', operations: '40' },
  },
  'run-in-containers': {
    calls: ({ containers, services }) => 20 + 2 * services + 2 * containers,
    operations: () => 12,
    invocations: () => 1,
    text: { calls: '20 + 2 for each service + 2 for each container', operations: '12' },
  },
  /** A container that went away before its command began, and another one that took its place. */
  'run-in-containers of one container': {
    calls: () => 29,
    operations: () => 15,
    invocations: () => 1,
    text: { calls: '29', operations: '15' },
  },
  'run-in-new-task': {
    calls: () => 42,
    operations: () => 18,
    invocations: () => 5,
    text: { calls: '42, of them 5 for secrets', operations: '18' },
  },
  'reload-on-change': {
    calls: ({ services }) => 20 + 4 * services,
    operations: () => 12,
    invocations: () => 1,
    text: { calls: '20 + 4 for each service', operations: '12' },
  },
  'reload-on-change that reloads': {
    calls: ({ services, oneByOne }) => 80 + 130 * services + 70 * oneByOne,
    operations: ({ services, oneByOne }) => 12 + 16 * services + 12 * oneByOne,
    invocations: ({ services, oneByOne }) => 3 + 12 * services + 6 * oneByOne,
    text: {
      calls: '80 + 130 for each service + 70 for each task that is replaced by itself',
      operations: '12 + 16 for each service + 12 for each task that is replaced by itself',
    },
  },
  'start-run': {
    calls: () => 13,
    operations: () => 0,
    invocations: () => 1,
    text: { calls: '13 for each run', operations: '0' },
  },
};
