/**
 * A run over very many containers, whose commands end at once.
 *
 * The first table is of the deployed function: its bundle in a process of its own, as Lambda runs it, with real calls
 * and websockets, an agent that is as slow as the real one, and AWS's limits, rate of calls too. Only what answers in the
 * containers is played, for no machine has five thousand. Its memory must hardly grow.
 *
 * The second is of the work of the job alone, without a process and a network: the durable context is played too, and what is
 * told is what the heap grows by until the report is made.
 *
 *     node bench/many-containers.ts
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import Table from 'cli-table3';
import { containerDetail, containerDetails } from '../functions/shared/containers/container-report.ts';
import type { FoundContainer } from '../functions/shared/containers/discover-containers.ts';
import type { Reach, Seen } from '../functions/shared/containers/reach.ts';
import { runInEachContainer } from '../functions/shared/containers/run-in-each-container.ts';
import { insideInvocations } from '../functions/shared/run/time-left.ts';
import { AGENT_TIMING } from '../rehearsal/aws/session-manager/agent.ts';
import { cleanUpMany } from '../test/rehearsal/many-containers.ts';
import { IS_SHORT, tell } from './figures.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const DEPLOYED_COUNTS = IS_SHORT ? [500] : [500, 1_000, 5_000];
/** So many sessions of a second each are as many as AWS starts in a second: 40. */
const CONCURRENCY = 40;
const COUNTS = [500, 1_000, 5_000, 20_000];
/** As much as a report has of an output. */
const WORDS = 500;

/** AWS's limits: 3,000 operations in an execution, 262,144 bytes in a result. */
interface Measured {
  operations: number;
  largest: number;
  highest: number;
}

class Played implements Reach {
  readonly #highest: () => void;
  constructor(highest: () => void) {
    this.#highest = highest;
  }
  async start(): Promise<Seen> {
    this.#highest();
    return { outcome: 'exited', exitCode: 0, output: 'x'.repeat(20 * WORDS) };
  }
  async follow(): Promise<Seen> {
    throw new Error('Nothing is left running.');
  }
}

function found(count: number): FoundContainer[] {
  return Array.from({ length: count }, (_, number) => ({
    role: number % 100 === 0 ? 'webapp' : 'coreapp',
    service: `service-${number % 7}`,
    taskArn: `arn:aws:ecs:eu-central-1:123456789012:task/shop/${number.toString(16).padStart(32, '0')}`,
    container: 'app',
    runtimeId: `${number.toString(16).padStart(32, '0')}-0123456789`,
  }));
}

async function measure(count: number): Promise<Measured> {
  const containers = found(count);
  let [operations, largest, looks] = [0, 0, 0];
  const noted = <Result>(result: Result): Result => {
    operations += 1;
    largest = Math.max(largest, JSON.stringify(result).length);
    return result;
  };
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  let highest = 0;
  const reach = new Played(() => {
    if (++looks % 500 !== 0) return;
    collectGarbage();
    highest = Math.max(highest, process.memoryUsage().heapUsed - before);
  });
  const context = insideInvocations({
    lambdaContext: { getRemainingTimeInMillis: () => 900_000 },
    step: async (_: string, work: () => Promise<unknown>) => noted(await work()),
    waitForCondition: async (
      _: string,
      look: (state: unknown) => Promise<unknown>,
      { initialState, waitStrategy }: { initialState: unknown; waitStrategy: (state: unknown) => object },
    ) => {
      for (let state = initialState; ; ) {
        state = noted(await look(state));
        if (!Object(waitStrategy(state)).shouldContinue) return state;
      }
    },
  } as unknown as DurableContext);
  const ran = await runInEachContainer(
    containers,
    {
      reach,
      orderOf: () => ({ id: 'run', supersedes: '', command: ['true'], marker: '' }),
      readOutput: (output) => output.slice(-WORDS),
      timeoutSeconds: 600,
      concurrency: 100,
      retryFailed: true,
      endBy: Date.now() + 3_600_000,
    },
    context,
  );
  const { containersNotListed = 0, containers: listed } = containerDetails(ran, containerDetail);
  if (Number(containersNotListed) + (listed as object[]).length !== count)
    throw new Error('A container is missing.');
  return { operations, largest, highest };
}

const deployed = new Table({
  head: [
    'containers',
    'cleaned',
    'ExecuteCommand',
    'seconds',
    'operations (of 3,000)',
    'largest result, bytes (of 262,144)',
    "the process's memory at its highest, MB (of 512)",
  ],
  style: { head: [], border: [] },
});
for (const count of DEPLOYED_COUNTS) {
  const { report, record, calls, memory } = await cleanUpMany(count, CONCURRENCY, AGENT_TIMING);
  if (report.outcome !== 'succeeded') throw new Error(`The run did not succeed: ${JSON.stringify(report)}`);
  const about = {
    bench: 'many-containers',
    what: `${count.toLocaleString('en')} containers by the deployed function`,
  };
  tell({ ...about, rival: 'of 3,000', value: record.operations, unit: 'operations', goal: { atMost: 3000 } });
  tell({
    ...about,
    rival: 'of 262,144',
    value: record.largest,
    unit: 'bytes at most in one result',
    goal: { atMost: 262_144 },
  });
  if (memory !== undefined)
    tell({ ...about, rival: 'of 512', value: memory, unit: 'MB of memory', goal: { atMost: 512 } });
  deployed.push([
    count.toLocaleString('en'),
    report.figures.containersCleaned,
    calls.ExecuteCommand,
    ((Date.parse(report.endedAt) - Date.parse(report.startedAt)) / 1000).toFixed(0),
    record.operations,
    record.largest.toLocaleString('en'),
    memory?.toFixed(0) ?? 'not known here',
  ]);
}
console.log(`Through the deployed function, in ${CONCURRENCY} containers at once:\n${deployed.toString()}`);

const table = new Table({
  head: ['containers', 'operations (of 3,000)', 'largest result, bytes (of 262,144)', 'heap, MB'],
  style: { head: [], border: [] },
});
await measure(500);
for (const count of COUNTS) {
  const { operations, largest, highest } = await measure(count);
  table.push([
    count.toLocaleString('en'),
    operations,
    largest.toLocaleString('en'),
    (highest / 1e6).toFixed(1),
  ]);
}
console.log(`The job's own work, in 100 at once:\n${table.toString()}`);
