import { startRun, stopRuns } from '../operator.ts';
import { type Fault, GOOD, HOUR, isGcRequest, MINUTE, once, SUNDAY } from './fault.ts';
import { cutAtRandom, SCALED_TIMEOUT } from './random-cuts.ts';

/** Of the invocations up to the one that hangs, in milliseconds: longer than it takes to come there. */
const HUNG_TIMEOUT = 6_000;

const JOBS = [
  'message-gc',
  'media-gc',
  'log-cleanup',
  'database-size',
  'credential-rotation',
  'application-settings',
  'upgrade-check',
];

/** Whether a function records that it has told its report. */
function told({ Updates: updates }: Record<string, unknown>): boolean {
  return (
    Array.isArray(updates) &&
    updates.some(({ Name: name, Action: action }) => /^tell/.test(name) && action === 'SUCCEED')
  );
}

/** @param seed of the moments: the same one, the same cuts. */
export function cutsOfAllJobs(seed: string): Fault {
  let came = new Map<string, number>();
  const functions = JOBS.map((job) => `emea-${job}`);
  return {
    description: `Functions have fifteen seconds, and each job's is ended by force twice, at random moments (seed "${seed}"), as Lambda's timeout does, and once while it tells its report: its run is replayed, nothing is done twice and nothing is left out`,
    deployment: 'emea',
    containers: true,
    rotation: true,
    starts: SUNDAY,
    asAfterAGoodNight: true,
    cutsReports: true,
    strike(_target, { aws, clock }) {
      came = cutAtRandom(aws, { functions, seed, cuts: 2 });
      clock.at(SUNDAY + 2 * HOUR, () => startRun(aws, 'emea', 'upgrade-check'));
    },
    expected: { outcomes: { 'upgrade-check': ['succeeded'] }, alarms: [] },
    mismatches: () =>
      functions
        .filter((name) => came.get(name) !== 3)
        .map((name) => `${name}: expected 3 cuts, came ${came.get(name) ?? 0}.`),
  };
}

/** Each day another; a day's failure is played again with its seed in CUT_SEED. */
export function seedOfTheDay(): string {
  return process.env.CUT_SEED ?? new Date().toISOString().slice(0, 10);
}

/** What goes wrong of runs on their way. */
export const RUNS_FAULTS: Record<string, Fault> = {
  'function-killed': {
    description: "The function's process is killed while it waits for callbacks, and the run replayed",
    deployment: 'emea',
    strike(_target, { aws }, hooks) {
      hooks.onCollection = once(
        () => true,
        () => aws.killFunction('emea-message-gc'),
      );
    },
    expected: GOOD,
  },
  'function-killed-while-asking': {
    description: 'The function is killed while WebApp answers its request for GC',
    deployment: 'latam',
    strike(_target, { aws }, hooks) {
      hooks.onRequest = once(isGcRequest, () => aws.killFunction('latam-message-gc'));
    },
    expected: GOOD,
  },
  'run-poisoned': {
    description:
      'The function dies each time that it looks into the queue: the run gives up by itself, with the cause',
    deployment: 'latam',
    strike(_target, { aws }) {
      aws.onCall(({ service, caller }) => {
        if (service !== 'sqs' || caller.function?.name !== 'latam-message-gc') return undefined;
        aws.killFunction('latam-message-gc');
        return 'drop';
      });
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'runs-poisoned': {
    description:
      'The function dies each time that it asks for its password, and somebody starts another run ten minutes later: the first gave up after too few tries for the alarm on crashes, the second one rings that',
    deployment: 'emea',
    strike(_target, { aws, clock }) {
      let startsAgain = true;
      aws.onCall(({ service, caller }) => {
        if (service !== 'secretsmanager' || caller.function?.name !== 'emea-database-size') return undefined;
        if (startsAgain) clock.at(clock.now() + 10 * MINUTE, () => startRun(aws, 'emea', 'database-size'));
        startsAgain = false;
        aws.killFunction('emea-database-size');
        return 'drop';
      });
    },
    expected: {
      outcomes: { 'database-size': ['failed', 'failed'] },
      alarms: ['emea-database-size-failed', 'emea-database-size-crashing'],
      severalMessages:
        'Two runs: somebody starts the second one after the first was told, and it ends as that did.',
    },
  },
  'killed-while-reporting': {
    description:
      'WebApp is down all night, and the function is killed once it has told so: it tells it again, and one message is sent',
    deployment: 'latam',
    async strike({ webApp }, { aws }) {
      await webApp.goDown();
      const stop = aws.onCall(({ caller, input }) => {
        if (caller.function?.name !== 'latam-message-gc' || !told(input)) return undefined;
        stop();
        aws.killFunction('latam-message-gc');
        return 'drop';
      });
    },
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-failed'] },
  },
  'report-poisoned': {
    description:
      'The function dies each time that it has told its report: the run is given up, and told as lost, instead of telling it all night',
    deployment: 'emea',
    strike(_target, { aws }) {
      aws.onCall(({ caller, input }) => {
        if (caller.function?.name !== 'emea-database-size' || !told(input)) return undefined;
        aws.killFunction('emea-database-size');
        return 'drop';
      });
    },
    expected: { outcomes: { 'database-size': ['failed'] }, alarms: ['emea-database-size-lost'] },
  },
  'function-does-not-start': {
    description:
      'Each invocation of the job crashes before its code can do anything: Lambda repeats it all night',
    deployment: 'latam',
    strike(_target, { aws }) {
      aws.onInvoke(({ functionName }) =>
        functionName === 'latam-message-gc'
          ? new Error('Runtime exited with error: signal: killed')
          : undefined,
      );
    },
    // Lambda ends the execution hours later, by its timeout: of that the alarm has told.
    expected: { outcomes: { 'message-gc': ['failed'] }, alarms: ['latam-message-gc-crashing'] },
  },
  'cut-at-random': cutsOfAllJobs(seedOfTheDay()),
  'step-cut-by-timeout': {
    description:
      "The function hangs while it marks messages read, and Lambda's timeout cuts the step: what it had received comes back, and is marked",
    deployment: 'latam',
    strike(_target, { aws }, hooks) {
      let hangs = false;
      aws.lambda.scaleTimeout('latam-message-gc', () => (hangs ? SCALED_TIMEOUT : HUNG_TIMEOUT));
      hooks.onRequest = once(
        ({ path }: { path: string }) => path.startsWith('/v1/messages/'),
        () => {
          hangs = true;
          aws.lambda.hang('latam-message-gc');
        },
      );
    },
    expected: GOOD,
  },
  'run-stopped': {
    description: 'Somebody stops the run before it can report',
    deployment: 'latam',
    strike(_target, { aws }, hooks) {
      hooks.onCollection = once(
        () => true,
        () => stopRuns(aws, 'latam-message-gc'),
      );
    },
    expected: {
      outcomes: { 'message-gc': ['failed'] },
      alarms: ['latam-message-gc-lost'],
    },
  },
  'media-gc-beside-message-gc': {
    description: 'Somebody starts media GC by hand while message GC is at work: it is skipped',
    deployment: 'emea',
    strike(_target, { aws }, hooks) {
      hooks.onCollection = once(
        () => true,
        () => startRun(aws, 'emea', 'media-gc'),
      );
    },
    expected: { outcomes: { 'media-gc': ['skipped'] }, alarms: [] },
  },
};
