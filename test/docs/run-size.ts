import { mock } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { DescribeTasksCommand, type ECSClient, ListTasksCommand } from '@aws-sdk/client-ecs';
import { discoverContainers } from '../../functions/shared/containers/discover-containers.ts';
import type { Order, Reach, Seen, Stay } from '../../functions/shared/containers/reach.ts';
import { runInEachContainer } from '../../functions/shared/containers/run-in-each-container.ts';
import { insideInvocations } from '../../functions/shared/run/time-left.ts';

/** What one run leaves on record. */
export interface RunSize {
  /** As Lambda meters them: each retry and each look for a condition is one. */
  operations: number;
  /** Bytes of the largest result of one. */
  largest: number;
  /** Characters. */
  longestName: number;
  /** Containers in which the command ended before the time limit. */
  done: number;
}

/** Time that passes only when everything waits for it. */
export class VirtualTime {
  #sleepers: { at: number; wake: () => void }[] = [];

  sleep(milliseconds: number): Promise<void> {
    return new Promise((wake) => this.#sleepers.push({ at: Date.now() + milliseconds, wake }));
  }

  async play<Result>(work: Promise<Result>): Promise<Result> {
    let over = false;
    const done = work.finally(() => {
      over = true;
    });
    done.catch(() => {});
    for (;;) {
      await new Promise((turn) => setImmediate(turn));
      if (over) return done;
      this.#sleepers.sort((one, other) => one.at - other.at);
      const next = this.#sleepers.shift();
      if (!next) continue;
      mock.timers.setTime(Math.max(Date.now(), next.at));
      next.wake();
    }
  }
}

/** A context that records as Lambda does, and keeps nothing. */
export function countingContext(time: VirtualTime, size: RunSize): DurableContext {
  const count = (name: string) => {
    size.operations += 1;
    size.longestName = Math.max(size.longestName, name.length);
  };
  const keep = <Value>(value: Value): Value => {
    const json = JSON.stringify(value) ?? 'null';
    size.largest = Math.max(size.largest, Buffer.byteLength(json));
    return JSON.parse(json);
  };
  const context = {
    lambdaContext: { getRemainingTimeInMillis: () => 900_000 },
    async step<Value>(name: string, work: () => Promise<Value>) {
      count(name);
      return keep(await work());
    },
    async waitForCondition<State>(
      name: string,
      look: (state: State) => Promise<State>,
      {
        initialState,
        waitStrategy,
      }: {
        initialState: State;
        waitStrategy: (
          state: State,
          attempt: number,
        ) => { shouldContinue: false } | { shouldContinue: true; delay: { seconds: number } };
      },
    ) {
      let state = initialState;
      for (let attempt = 1; ; attempt++) {
        count(name);
        state = keep(await look(state));
        const decision = waitStrategy(state, attempt);
        if (!decision.shouldContinue) return state;
        await time.sleep(decision.delay.seconds * 1000);
      }
    },
  };
  return insideInvocations(context as unknown as DurableContext);
}

const SERVICE = 'whatsapp-production-coreapp';
const PREFIX = 'arn:aws:ecs:ap-southeast-1:123456789012:task/whatsapp-production/';

/** ECS with so many tasks of one service. */
function ecsWith(tasks: number): ECSClient {
  const arnOf = (number: number) => PREFIX + number.toString(16).padStart(32, '0');
  const send = async (command: unknown) => {
    if (command instanceof ListTasksCommand) {
      const from = Number(command.input.nextToken ?? 0);
      const next = from + 100;
      return {
        taskArns: Array.from({ length: Math.min(100, tasks - from) }, (_, index) => arnOf(from + index)),
        ...(next < tasks && { nextToken: String(next) }),
      };
    }
    if (command instanceof DescribeTasksCommand)
      return {
        tasks: command.input.tasks?.map((taskArn) => ({
          taskArn,
          lastStatus: 'RUNNING',
          desiredStatus: 'RUNNING',
          containers: [
            { name: 'coreapp', lastStatus: 'RUNNING', runtimeId: `${taskArn.slice(-32)}-1234567890` },
          ],
        })),
      };
    throw new Error('ECS is not asked for this here.');
  };
  return { send } as unknown as ECSClient;
}

/** A command that takes so long in each container, and says as much as is ever kept of an output. */
function reachOf(time: VirtualTime, seconds: number): Reach {
  const began = new Map<string, number>();
  const look = async ({ runtimeId }: { runtimeId: string }, stay: Stay): Promise<Seen> => {
    const end = (began.get(runtimeId) ?? 0) + seconds * 1000;
    const until = Math.min(Date.now() + stay.patienceMilliseconds, stay.deadline);
    await time.sleep(Math.max(0, Math.min(end, until) - Date.now()));
    if (Date.now() >= end) return { outcome: 'exited', exitCode: 0, output: 'x'.repeat(1000) };
    if (Date.now() >= stay.deadline) return { outcome: 'timed-out', output: 'x'.repeat(1000) };
    return { outcome: 'running', handle: runtimeId };
  };
  return {
    start(container, _order: Order, stay) {
      began.set(container.runtimeId, Date.now());
      return look(container, stay);
    },
    follow: (container, _order, _handle, stay) => look(container, stay),
  };
}

/** Plays the work of a job in containers, from finding them to the last one's end, by its own code. */
async function containersRunSize(
  containers: number,
  { commandSeconds, limitSeconds }: { commandSeconds: number; limitSeconds: number },
): Promise<RunSize> {
  mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-11-29T02:00:00Z') });
  try {
    const time = new VirtualTime();
    // The execution, the beginning of the run, its context, the marker, the report, its moment, that it is told, and its event.
    const size: RunSize = { operations: 8, largest: 0, longestName: 0, done: 0 };
    const context = countingContext(time, size);
    await time.play(
      (async () => {
        const { containers: found } = await discoverContainers(
          ecsWith(containers),
          {
            deployment: 'production',
            clusterArn: 'whatsapp-production',
            reach: 'ecs-exec',
            roles: [{ name: 'coreapp', container: 'coreapp', services: [SERVICE] }],
            concurrency: 20,
            timeoutSeconds: 1800,
            retryFailed: true,
          },
          (name, work) => context.step(name, work),
        );
        const ran = await runInEachContainer(
          found,
          {
            reach: reachOf(time, commandSeconds),
            orderOf: () => ({ id: 'run', supersedes: '', command: ['true'], marker: '' }),
            readOutput: (output) => output,
            timeoutSeconds: 3600,
            concurrency: 20,
            retryFailed: true,
            endBy: Date.now() + limitSeconds * 1000,
          },
          context,
        );
        size.done = ran.filter(({ ended }) => ended.outcome === 'exited').length;
      })(),
    );
    return size;
  } finally {
    mock.timers.reset();
  }
}

const CASES = [
  { command: '20 seconds', commandSeconds: 20, limit: '4 hours', limitSeconds: 4 * 3600 },
  { command: '30 minutes', commandSeconds: 1800, limit: '4 hours', limitSeconds: 4 * 3600 },
  { command: '30 minutes', commandSeconds: 1800, limit: '12 hours', limitSeconds: 12 * 3600 },
] as const;

/** The table of docs/container-jobs.md. */
export async function runSizeTable(): Promise<string> {
  const lines = [
    '| Containers | A command takes | Time limit | Done in | Operations | Largest result, bytes | Longest name |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const containers of [10, 1000, 5000])
    for (const { command, limit, ...times } of CASES) {
      const { operations, largest, longestName, done } = await containersRunSize(containers, times);
      lines.push(
        `| ${containers} | ${command} | ${limit} | ${done} | ${operations} | ${largest} | ${longestName} |`,
      );
    }
  return lines.join('\n');
}
