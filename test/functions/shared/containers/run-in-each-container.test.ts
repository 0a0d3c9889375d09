import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import type { FoundContainer } from '../../../../functions/shared/containers/discover-containers.ts';
import type { Order, Reach, Seen, Stay } from '../../../../functions/shared/containers/reach.ts';
import {
  type EachContainerOptions,
  type Ran,
  runInEachContainer,
} from '../../../../functions/shared/containers/run-in-each-container.ts';
import { insideInvocations } from '../../../../functions/shared/run/time-left.ts';

function found(counts: Record<string, number>): FoundContainer[] {
  return Object.entries(counts).flatMap(([role, count]) =>
    Array.from({ length: count }, (_, number) => ({
      role,
      service: role,
      taskArn: `arn:aws:ecs:eu-central-1:123456789012:task/shop/${role}${number}`,
      container: role,
      runtimeId: `${role} ${number}`,
    })),
  );
}

/** With each container another one in its task, of a role of its own. */
function withSidecars(containers: FoundContainer[]): FoundContainer[] {
  const sidecars = containers.map((each) => ({
    ...each,
    role: 'proxy',
    runtimeId: `${each.runtimeId} proxy`,
  }));
  return [...containers, ...sidecars];
}

/** Containers that behave as their names say, and keep what was started in them under the order's id. */
class Containers implements Reach {
  readonly calls: string[] = [];
  readonly busy = new Map<string, number>();
  readonly mostBusy = new Map<string, number>();
  readonly #looks = new Map<string, number>();
  readonly #behaviour: (container: FoundContainer, look: number, id: string) => Seen;

  readonly #milliseconds: number;
  readonly #groupOf: (container: FoundContainer) => string;

  /** @param groupOf of which it is noted how many are busy at once. @default the role */
  constructor(
    behaviour: (container: FoundContainer, look: number, id: string) => Seen,
    milliseconds = 20,
    groupOf: (container: FoundContainer) => string = ({ role }) => role,
  ) {
    this.#behaviour = behaviour;
    this.#milliseconds = milliseconds;
    this.#groupOf = groupOf;
  }

  async start(container: FoundContainer, { id }: Order, stay: Stay): Promise<Seen> {
    this.calls.push(`start ${container.runtimeId} ${id}`);
    return this.#look(container, id, stay);
  }

  async follow(container: FoundContainer, { id }: Order, handle: string, stay: Stay): Promise<Seen> {
    this.calls.push(`follow ${container.runtimeId} ${id} ${handle}`);
    return this.#look(container, id, stay);
  }

  async #look(container: FoundContainer, id: string, stay: Stay): Promise<Seen> {
    const { runtimeId } = container;
    const role = this.#groupOf(container);
    const busy = (this.busy.get(role) ?? 0) + 1;
    this.busy.set(role, busy);
    this.mostBusy.set(role, Math.max(busy, this.mostBusy.get(role) ?? 0));
    await new Promise((resolve) => setTimeout(resolve, this.#milliseconds));
    this.busy.set(role, (this.busy.get(role) ?? 0) - 1);
    const look = (this.#looks.get(`${runtimeId} ${id}`) ?? 0) + 1;
    this.#looks.set(`${runtimeId} ${id}`, look);
    if (Date.now() >= stay.deadline) return { outcome: 'timed-out', output: '' };
    return this.#behaviour(container, look, id);
  }
}

const DONE: Seen = { outcome: 'exited', exitCode: 0, output: 'said' };

async function run(
  containers: FoundContainer[],
  reach: Containers,
  options: Partial<EachContainerOptions<string>> = {},
): Promise<{ ran: Ran<string>[]; operations: number; largest: number; waits: (string | undefined)[] }> {
  const endBy = Date.now() + 4 * 60 * 60 * 1000;
  const handler = withDurableExecution((_event: unknown, context) =>
    runInEachContainer(
      containers,
      {
        reach,
        orderOf: () => ({ id: 'run', supersedes: '', command: ['true'], marker: '' }),
        readOutput: (output) => output,
        timeoutSeconds: 3600,
        concurrency: 10,
        retryFailed: true,
        endBy,
        // With its fake timers the local runner keeps node's test runner from reporting.
        pauses: { first: 1, longest: 1, notNow: 1, full: 1 },
        ...options,
      },
      insideInvocations(context),
    ),
  );
  const runner = new LocalDurableTestRunner<Ran<string>[]>({ handlerFunction: handler });
  const execution = await runner.run({ payload: {} });
  const ran = execution.getResult();
  assert.ok(ran);
  const operations = execution.getOperations();
  // The run's own result is not kept as one: a job makes a report of it.
  const sizes = operations.map((operation) =>
    Buffer.byteLength(JSON.stringify(operation.getOperationData())),
  );
  const waits = operations.filter((each) => each.getType() === 'WAIT').map((each) => each.getName());
  return { ran, operations: operations.length, largest: Math.max(...sizes), waits };
}

/** Bytes, of what is still in use once what ended a moment ago has let go of its own. */
async function heapUsed(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc');
  for (let turn = 0; turn < 3; turn++) {
    await setImmediate();
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}

describe('runInEachContainer', () => {
  before(() => LocalDurableTestRunner.setupTestEnvironment());
  after(() => LocalDurableTestRunner.teardownTestEnvironment());

  test('waits for sessions that nobody uses to end, where they left a container no place, if the window is long enough', async () => {
    const wait = async (seen: Seen, full = 1) => {
      let tries = 0;
      const reach = new Containers(({ runtimeId }) =>
        runtimeId === 'webapp 1' && ++tries === 1 ? seen : DONE,
      );
      const pauses = { first: 1, longest: 1, notNow: 1, full };
      const { ran, waits } = await run(found({ webapp: 3 }), reach, { pauses });
      assert.equal(ran.find(({ container }) => container.runtimeId === 'webapp 1')?.attempts, 2);
      return waits;
    };
    const detail = 'Session limit reached';
    const full: Seen = { outcome: 'not-started', detail, isFull: true };
    assert.deepEqual(await wait(full), ['sessions that nobody uses end']);
    // Past the end of the window of four hours.
    assert.deepEqual(await wait(full, 5 * 3600), []);
    assert.deepEqual(await wait({ outcome: 'not-started', detail }), []);
  });

  test('is never busy in all containers of a role at once, and takes one durable operation for a hundred', async () => {
    const reach = new Containers(() => DONE);
    const counts = { webapp: 3, coreapp: 33, master: 2 };
    const { ran, operations } = await run(found(counts), reach, { concurrency: 20 });
    assert.equal(ran.filter(({ ended }) => ended.outcome === 'exited').length, 38);
    assert.deepEqual(Object.fromEntries(reach.mostBusy), { webapp: 2, coreapp: 17, master: 1 });
    assert.ok(operations <= 2, `${operations} operations`);
  });

  for (const counts of [
    { large: 8, small: 2 },
    { a: 1, b: 1, c: 1 },
    { a: 30, b: 3, c: 1 },
  ])
    test(`is never busy in all containers of a service of ${JSON.stringify(counts)} in one role`, async () => {
      const reach = new Containers(
        () => DONE,
        20,
        ({ service }) => service,
      );
      const role = found(counts).map((container) => ({ ...container, role: 'web' }));
      const { ran } = await run(role, reach);
      assert.deepEqual(
        ran.map(({ container }) => container.runtimeId),
        role.map(({ runtimeId }) => runtimeId),
      );
      assert.ok(ran.every(({ ended }) => ended.outcome === 'exited'));
      for (const [service, count] of Object.entries(counts))
        assert.ok(
          (reach.mostBusy.get(service) ?? 0) <= Math.max(1, Math.min(Math.ceil(count / 2), count - 1)),
          service,
        );
    });

  test('is never in two containers of one task at once, whose roles are two', async () => {
    const reach = new Containers(
      () => DONE,
      20,
      ({ taskArn }) => taskArn,
    );
    const { ran } = await run(withSidecars(found({ web: 6 })), reach);
    assert.equal(ran.filter(({ ended }) => ended.outcome === 'exited').length, 12);
    assert.ok([...reach.mostBusy.values()].every((most) => most === 1));
    assert.equal(reach.mostBusy.size, 6);
  });

  test('is never busy in all tasks of a service at once, whose containers have two roles', async () => {
    const reach = new Containers(
      () => DONE,
      20,
      ({ service }) => service,
    );
    const { ran } = await run(withSidecars(found({ web: 2 })), reach);
    assert.equal(ran.filter(({ ended }) => ended.outcome === 'exited').length, 4);
    assert.deepEqual(Object.fromEntries(reach.mostBusy), { web: 1 });
  });

  test('begins in no other container of a task while a command goes on in one that outlasts a look', async () => {
    const going = new Set<string>();
    const beside: string[] = [];
    const reach = new Containers(({ runtimeId, taskArn }, look) => {
      if (going.has(taskArn) && runtimeId !== 'web 0') beside.push(runtimeId);
      const goesOn = runtimeId === 'web 0' && look < 4;
      going[goesOn ? 'add' : 'delete'](taskArn);
      return goesOn ? { outcome: 'running', handle: 'h' } : DONE;
    });
    const { ran } = await run(withSidecars(found({ web: 3 })), reach);
    assert.equal(ran.filter(({ ended }) => ended.outcome === 'exited').length, 6);
    assert.deepEqual(beside, []);
  });

  test('handles 5,000 containers in few operations, each far under the limits of a step, and in little memory', async () => {
    const reach = new Containers(() => ({ ...DONE, output: '✓'.repeat(20_000) }), 0);
    // What a first run loads and compiles is none of theirs.
    await run(found({ webapp: 200 }), new Containers(() => DONE, 0), { concurrency: 100 });
    const before = await heapUsed();
    const { ran, operations, largest } = await run(
      found({ webapp: 200, coreapp: 4_700, master: 100 }),
      reach,
      {
        concurrency: 100,
        readOutput: (output) => output.slice(-500),
      },
    );
    const megabytes = ((await heapUsed()) - before) / 1e6;
    assert.ok(megabytes < 50, `${megabytes} MB: the outputs are 200 MB, what is kept of them 5`);
    assert.equal(ran.filter(({ ended }) => ended.outcome === 'exited').length, 5_000);
    assert.ok(operations <= 120, `${operations} operations; AWS allows 3,000`);
    assert.ok(largest < 200_000, `a result of ${largest} bytes; AWS allows 262,144`);
  });

  test('begins no more in one operation than its result can hold, whatever is kept of an output', async () => {
    const reach = new Containers(() => ({ ...DONE, output: 'x'.repeat(4_000) }), 1);
    const { ran, largest } = await run(found({ webapp: 150 }), reach, { concurrency: 20 });
    assert.equal(ran.filter(({ ended }) => ended.outcome === 'exited').length, 150);
    assert.ok(largest < 200_000, `a result of ${largest} bytes; AWS allows 262,144`);
  });

  test('keeps results small whatever a hundred containers at once say of why nothing was started', async () => {
    for (const said of ['\u0001', '✓']) {
      const detail = said.repeat(5_000);
      const reach = new Containers(() => ({ outcome: 'not-started', detail, isFinal: true }), 1);
      const { ran, largest } = await run(found({ webapp: 250 }), reach, { concurrency: 100 });
      assert.equal(ran.length, 250);
      assert.ok(largest < 262_144, `a result of ${largest} bytes; AWS allows 262,144`);
    }
  });

  test('holds up none of the others by one that takes long', async () => {
    const slow = 'webapp 0';
    const ended: string[] = [];
    const reach = new Containers(({ runtimeId }, look) => {
      if (runtimeId === slow && look < 5) return { outcome: 'running', handle: 'h' };
      ended.push(runtimeId);
      return DONE;
    }, 0);
    const { ran } = await run(found({ webapp: 400 }), reach, { concurrency: 100 });
    assert.ok(ran.every(({ ended }) => ended.outcome === 'exited'));
    assert.equal(ended.length, 400);
    assert.ok(ended.indexOf(slow) > 250, `${ended.indexOf(slow)} had ended before it`);
  });

  test('looks again at a command that takes long, and does not start it anew', async () => {
    const reach = new Containers((_, look) => (look < 4 ? { outcome: 'running', handle: 'h' } : DONE));
    const { ran } = await run(found({ webapp: 1 }), reach);
    assert.deepEqual(ran[0]?.ended, { outcome: 'exited', exitCode: 0, read: 'said' });
    assert.deepEqual(reach.calls, [
      'start webapp 0 run',
      ...Array.from({ length: 3 }, () => 'follow webapp 0 run h'),
    ]);
  });

  test('waits until AWS takes calls again', async () => {
    const reach = new Containers((_, look) =>
      look < 3 ? { outcome: 'not-now', detail: 'throttled' } : DONE,
    );
    const { ran } = await run(found({ webapp: 2 }), reach);
    assert.deepEqual(
      ran.map(({ ended }) => ended.outcome),
      ['exited', 'exited'],
    );
  });

  test('tries the failed ones once more at the end: under a new id where how they ended is known', async () => {
    const first: Record<string, Seen> = {
      'webapp 0': DONE,
      'webapp 1': { outcome: 'exited', exitCode: 3, output: 'no' },
      'webapp 2': { outcome: 'lost', detail: 'cut' },
      'webapp 3': { outcome: 'not-started', detail: 'no agent' },
      'webapp 4': { outcome: 'gone', detail: 'stopped' },
      'webapp 5': { outcome: 'not-started', detail: 'no shell', isFinal: true },
    };
    const reach = new Containers(({ runtimeId }, look, id) =>
      look === 1 && id === 'run' ? (first[runtimeId] ?? DONE) : DONE,
    );
    const { ran } = await run(found({ webapp: 6 }), reach);
    assert.deepEqual(
      ran.map(({ ended, attempts }) => `${ended.outcome} ${attempts}`),
      ['exited 1', 'exited 2', 'exited 2', 'exited 2', 'gone 1', 'not-started 1'],
    );
    assert.deepEqual(
      reach.calls
        .filter((call) => call.startsWith('start'))
        .slice(6)
        .sort(),
      ['start webapp 1 run-2', 'start webapp 2 run', 'start webapp 3 run'],
    );
  });

  test('begins nothing when the window has ended', async () => {
    const reach = new Containers(() => DONE);
    const { ran } = await run(found({ webapp: 3 }), reach, { endBy: Date.now() - 1 });
    assert.deepEqual(reach.calls, []);
    assert.ok(ran.every(({ ended }) => ended.outcome === 'not-started'));
  });

  test('a way into containers that breaks for one does not stop the others', async () => {
    const reach = new Containers(({ runtimeId }) => {
      if (runtimeId === 'webapp 1') throw new Error('broken');
      return DONE;
    });
    const { ran } = await run(found({ webapp: 3 }), reach);
    assert.deepEqual(
      ran.map(({ ended }) => ended.outcome),
      ['exited', 'lost', 'exited'],
    );
  });
});
