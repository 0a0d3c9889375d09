import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  GetDurableExecutionCommand,
  LambdaClient,
  StopDurableExecutionCommand,
} from '@aws-sdk/client-lambda';
import { SSMClient } from '@aws-sdk/client-ssm';
import { Duration } from 'aws-cdk-lib';
import type { RunEvent } from '../../../functions/shared/run/run-event.ts';
import { type Beginning, beginRun } from '../../../functions/start-run/begin-run.ts';
import type { JobTarget } from '../../../functions/start-run/contract.ts';
import { type LedgerPage, RunLedger } from '../../../functions/start-run/run-ledger.ts';
import { Upkeep } from '../../../lib/upkeep.ts';
import { UpkeepJob } from '../../../lib/upkeep-job.ts';
import { seededRandom } from '../../../rehearsal/aws/seeded-random.ts';
import type { Aws } from '../../../rehearsal/aws/server.ts';
import { ACCOUNT, HOUR, REGION, START, sharedDeployment } from '../../rehearsal/aws/deploy.ts';

/** As the presets have them: two that must not meet, one that restarts what all work on, and one that harms nobody. */
const CONFLICTS: Record<string, string[]> = {
  'message-gc': ['media-gc', 'credential-rotation'],
  'media-gc': ['message-gc', 'credential-rotation'],
  'log-cleanup': ['credential-rotation'],
  'credential-rotation': [],
  'database-size': [],
};
const WAITS: Record<string, string[]> = {
  'credential-rotation': ['message-gc', 'media-gc', 'log-cleanup'],
};
const JOBS = Object.keys(CONFLICTS);

const FRESH_SEED = `fresh-${Date.now()}`;

/** The jobs of a shop at the stand-in. Their runs begin, and go on until they are ended. */
const deployment = sharedDeployment((stack) => {
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'UTC',
    window: { from: '00:00', to: '23:59' },
  });
  for (const job of JOBS)
    new UpkeepJob(stack, job, {
      upkeep,
      job,
      description: 'Works',
      entry: fileURLToPath(new URL('../credential-rotation/fixtures/long-job.ts', import.meta.url)),
      settings: { minutes: 60 },
      timeLimit: Duration.hours(2),
    });
});

describe('a run that asks to begin', () => {
  it('begins once, and never beside one that is in its way, however many ask at once and in whatever order', () =>
    shop(async (starts) => {
      for (const seed of ['one', FRESH_SEED])
        for (const [index, first] of JOBS.entries())
          for (const second of JOBS.slice(index)) {
            const play = starts(`${seed} ${first} ${second}`);
            // Six of each, of which half are second deliveries of the same start.
            const asked = Array.from({ length: 12 }, (_, index) =>
              play.ask(index % 2 === 0 ? first : second, `occasion-${index >> 2}`),
            );
            await play.run();
            const outcomes = await Promise.all(asked.map(({ outcome }) => outcome));
            assert.ok(
              outcomes.some((outcome) => outcome !== 'dead' && outcome.kind === 'begun'),
              play.seed,
            );
            await play.endAll();
          }
    }));

  it('begins once though two hundred starts of all jobs come at the same moment, each delivered five times', () =>
    shop(async (starts) => {
      const play = starts(`hundreds ${FRESH_SEED}`);
      const asked = Array.from({ length: 200 }, (_, index) =>
        play.ask(JOBS[index % 5] ?? '', `occasion-${index % 40}`),
      );
      await play.run();
      const outcomes = await Promise.all(asked.map(({ outcome }) => outcome));
      const running = play.running();
      assert.ok(running.length > 0 && running.length <= JOBS.length, `${play.seed}: ${running}`);
      // Each of the deliveries of what was let begin.
      const begun = outcomes.filter((outcome) => kindOf(outcome) === 'begun');
      assert.equal(begun.length, running.length * 5, play.seed);
    }));

  it('begins though more runs have begun that day than a page of the ledger can hold', () =>
    shop(async (starts) => {
      const play = starts('many');
      for (let number = 0; number < 60; number++) {
        const asked = play.ask('database-size', `occasion-${number}`);
        await play.run();
        assert.equal(kindOf(await asked.outcome), 'begun', String(number));
        await play.endAll();
      }
    }));

  it('is not held up by one that died at any moment of its start, nor begun twice', () =>
    shop(async (starts) => {
      for (const seed of ['one', FRESH_SEED])
        for (const job of ['message-gc', 'credential-rotation'])
          for (let steps = 0; steps < 12; steps++) {
            const play = starts(`${seed} ${job} dies after ${steps}`);
            const dying = play.ask(job, 'first', { diesAfter: steps });
            await play.run();
            assert.ok(['dead', 'begun'].includes(kindOf(await dying.outcome)), play.seed);
            const beganAlready = play.running().length;
            // Lambda repeats the same start, and others come too.
            const others = [play.ask(job, 'first'), play.ask(job, 'second'), play.ask(job, 'third')];
            await play.run();
            const outcomes = (await Promise.all(others.map(({ outcome }) => outcome))).map(kindOf);
            assert.equal(outcomes.includes('dead'), false, play.seed);
            assert.equal(play.running().length, 1, `${play.seed}: ${beganAlready} ${outcomes.join()}`);
            await play.endAll();
            const next = play.ask(job, 'fourth');
            await play.run();
            assert.equal(kindOf(await next.outcome), 'begun', play.seed);
            await play.endAll();
          }
    }));

  it('of which the starter died is begun by the next that comes, a minute later, and is then in its way', () =>
    shop(async (starts) => {
      const play = starts('finished by another');
      // Reads, and writes the ledger, and dies before it calls Lambda.
      for (let steps = 0; (await play.ledger()).entries.length === 0; steps++) {
        play.ask('message-gc', 'first', { diesAfter: steps });
        await play.run();
      }
      assert.deepEqual(play.running(), []);
      const early = play.ask('media-gc', 'second');
      await play.run();
      assert.match(reasonOf(await early.outcome), /run shop-message-gc-\d+-first is being started/);
      play.pass(61_000);
      const late = play.ask('media-gc', 'third');
      await play.run();
      assert.match(reasonOf(await late.outcome), /run shop-message-gc-\d+-first is still going on/);
      assert.deepEqual(play.running(), ['message-gc first']);
    }));

  it('is told of the runs that it waits for by itself, those too whose start is not on record yet', () =>
    shop(async (starts) => {
      const play = starts('waits');
      const beside = [play.ask('message-gc', 'one'), play.ask('log-cleanup', 'one')];
      await play.run();
      for (const { outcome } of beside) assert.equal(kindOf(await outcome), 'begun');
      const rotation = play.ask('credential-rotation', 'one');
      await play.run();
      assert.equal(kindOf(await rotation.outcome), 'begun');
      const { runsToWaitFor = [] } = await play.inputOf('credential-rotation', 'one');
      assert.deepEqual(runsToWaitFor.map(({ job }) => job).sort(), ['log-cleanup', 'message-gc']);
      const refused = play.ask('media-gc', 'one');
      await play.run();
      assert.match(reasonOf(await refused.outcome), /-one is still going on/);
    }));

  it('is not held up for ever by one whose execution Lambda never tells the end of', () =>
    shop(async (starts) => {
      const play = starts('no end');
      play.ask('message-gc', 'one');
      await play.run();
      // Lambda ends the execution itself by then.
      play.pass(3 * HOUR);
      const next = play.ask('message-gc', 'two');
      await play.run();
      assert.equal(kindOf(await next.outcome), 'begun');
    }));
});

function kindOf(outcome: Beginning | 'dead'): string {
  return outcome === 'dead' ? 'dead' : outcome.kind;
}

function reasonOf(outcome: Beginning | 'dead'): string {
  return outcome !== 'dead' && outcome.kind === 'in-the-way' ? outcome.reason : kindOf(outcome);
}

type Starts = (seed: string) => Play;

/** Two hours, and what Lambda allows beyond. */
const LONGEST_SECONDS = 2 * 3600 + 20 * 60;

const targets: Record<string, JobTarget> = Object.fromEntries(
  JOBS.map((job) => [
    job,
    {
      aliasArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:function:shop-${job}:live`,
      timeLimitSeconds: 2 * 3600,
      longestSeconds: LONGEST_SECONDS,
      conflictsWith: CONFLICTS[job] ?? [],
      ...(WAITS[job] && { waitsFor: WAITS[job] }),
    },
  ]),
);

/** Whose request to AWS it is. */
const starter = new AsyncLocalStorage<{ gate: () => Promise<void> }>();

let plays = 0;

/** Each play has names, and a ledger, of its own. */
async function shop(work: (starts: Starts) => Promise<void>): Promise<void> {
  const { aws, client, clock } = deployment();
  const clients = { ssm: new SSMClient(client()), lambda: new LambdaClient(client()) };
  for (const one of Object.values(clients))
    one.middlewareStack.add(
      // biome-ignore lint/suspicious/noExplicitAny: the same for each request of both clients.
      (next: any) => async (args: any) => {
        await starter.getStore()?.gate();
        const answer = await next(args).catch((error: Error) => error);
        await starter.getStore()?.gate();
        if (answer instanceof Error) throw answer;
        return answer;
      },
      { step: 'initialize' },
    );
  await work((seed) => new Play(seed, ++plays, { ...clients, aws, start: clock.now() }));
}

/** Starters whose every request to AWS, and every answer, waits until a seeded die says that it is next. */
class Play {
  readonly seed: string;
  readonly #number: number;
  readonly #aws: { ssm: SSMClient; lambda: LambdaClient; aws: Aws; start: number };
  readonly #random: () => number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #passed = 0;

  constructor(
    seed: string,
    number: number,
    aws: { ssm: SSMClient; lambda: LambdaClient; aws: Aws; start: number },
  ) {
    this.seed = seed;
    this.#number = number;
    this.#aws = aws;
    this.#random = seededRandom(seed);
  }

  /** @returns what comes of it once it was let {@link run}. */
  ask(
    job: string,
    occasion: string,
    { diesAfter = Number.POSITIVE_INFINITY }: { diesAfter?: number } = {},
  ): { outcome: Promise<Beginning | 'dead'> } {
    let steps = 0;
    const died = Promise.withResolvers<'dead'>();
    const gate = async () => {
      this.#busy--;
      if (steps++ >= diesAfter) {
        died.resolve('dead');
        await new Promise(() => {});
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      this.#busy++;
    };
    this.#busy++;
    const runId = this.#runId(job, occasion);
    const event: RunEvent = {
      job,
      deployment: 'shop',
      runId,
      scheduledFor: new Date(START).toISOString(),
      endBy: new Date(START + HOUR).toISOString(),
    };
    const began = starter
      .run({ gate }, () =>
        beginRun(event, {
          ...this.#aws,
          ledger: this.#ledger(),
          jobs: targets,
          claim: `request of ${occasion}`,
          now: () => this.#aws.start + this.#passed,
          pause: async () => {},
        }),
      )
      .finally(() => {
        this.#busy--;
      });
    return { outcome: Promise.race([began, died.promise]) };
  }

  /** Until nobody has anything left to do. */
  async run(): Promise<void> {
    for (;;) {
      while (this.#busy > 0) await setImmediate();
      const [next] = this.#waiting.splice(Math.floor(this.#random() * this.#waiting.length), 1);
      if (!next) return;
      next();
      await setImmediate();
      this.#check();
    }
  }

  /** Lets time go by for the starters. */
  pass(milliseconds: number): void {
    this.#passed += milliseconds;
  }

  /** As {@link ask} was asked for them. */
  running(): string[] {
    return this.#runs().map(({ name }) => name.replace(/^shop-(.+)-\d+-/, '$1 '));
  }

  /** What the job was given. */
  async inputOf(job: string, occasion: string): Promise<RunEvent> {
    const run = this.#runs().find(({ name }) => name === this.#runId(job, occasion));
    const { InputPayload: input = '{}' } = await this.#aws.lambda.send(
      new GetDurableExecutionCommand({ DurableExecutionArn: run?.arn, IncludeExecutionData: true }),
    );
    return JSON.parse(input);
  }

  ledger(): Promise<LedgerPage> {
    return this.#ledger().read();
  }

  async endAll(): Promise<void> {
    for (const { arn } of this.#runs())
      await this.#aws.lambda.send(new StopDurableExecutionCommand({ DurableExecutionArn: arn }));
  }

  #ledger(): RunLedger {
    return new RunLedger(this.#aws.ssm, `/upkeep/shop/runs-${this.#number}`);
  }

  #runId(job: string, occasion: string): string {
    return `shop-${job}-${this.#number}-${occasion}`;
  }

  /** Those that go on. */
  #runs() {
    return this.#aws.aws.lambda.durable
      .list()
      .filter(({ name, status }) => status === 'RUNNING' && name.includes(`-${this.#number}-`));
  }

  #check(): void {
    // Lambda has ended them all by now.
    if (this.#passed >= LONGEST_SECONDS * 1000) return;
    const jobs = this.running().map((run) => run.split(' ')[0] ?? '');
    for (const [index, job] of jobs.entries())
      for (const other of jobs.slice(index + 1)) {
        const waits = WAITS[job]?.includes(other) || WAITS[other]?.includes(job);
        const conflict = job === other || CONFLICTS[job]?.includes(other) || CONFLICTS[other]?.includes(job);
        // What waits by itself begins after what it waits for, and nothing of that begins after it.
        const lasting = waits && jobs.indexOf('credential-rotation') > index;
        assert.ok(!conflict || lasting, `seed ${this.seed}: ${this.running().join(' beside ')}`);
      }
  }
}
