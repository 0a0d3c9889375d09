import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import type { FoundContainer } from '../../../../functions/shared/containers/discover-containers.ts';
import type { Order, Reach, Seen, Stay } from '../../../../functions/shared/containers/reach.ts';
import {
  concurrencyByRole,
  type EachContainerOptions,
  lanesOf,
  type Ran,
  runInEachContainer,
} from '../../../../functions/shared/containers/run-in-each-container.ts';

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

/** Containers that behave as their names say, and keep what was started in them under the order's id. */
class Containers implements Reach {
  readonly calls: string[] = [];
  readonly busy = new Map<string, number>();
  readonly mostBusy = new Map<string, number>();
  readonly #groupOf: (container: FoundContainer) => string;
  readonly #looks = new Map<string, number>();
  readonly #behaviour: (container: FoundContainer, look: number, id: string) => Seen;

  /** @param groupOf of which it is noted how many are busy at once. @default the role */
  constructor(
    behaviour: (container: FoundContainer, look: number, id: string) => Seen,
    groupOf: (container: FoundContainer) => string = ({ role }) => role,
  ) {
    this.#behaviour = behaviour;
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

  async forget(container: FoundContainer, { id }: Order): Promise<void> {
    this.calls.push(`forget ${container.runtimeId} ${id}`);
  }

  async #look(container: FoundContainer, id: string, stay: Stay): Promise<Seen> {
    const { runtimeId } = container;
    const role = this.#groupOf(container);
    const busy = (this.busy.get(role) ?? 0) + 1;
    this.busy.set(role, busy);
    this.mostBusy.set(role, Math.max(busy, this.mostBusy.get(role) ?? 0));
    await new Promise((resolve) => setTimeout(resolve, 20));
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
): Promise<{ ran: Ran<string>[]; operations: number }> {
  const endBy = Date.now() + 4 * 60 * 60 * 1000;
  const handler = withDurableExecution((_event: unknown, context) =>
    runInEachContainer(
      containers,
      {
        reach,
        orderOf: () => ({ id: 'run', command: ['true'], marker: '' }),
        readOutput: (output) => output,
        timeoutSeconds: 3600,
        concurrency: 10,
        retryFailed: true,
        endBy,
        // With its fake timers the local runner keeps node's test runner from reporting.
        pauses: { first: 1, longest: 1, notNow: 1 },
        ...options,
      },
      context,
    ),
  );
  const runner = new LocalDurableTestRunner<Ran<string>[]>({ handlerFunction: handler });
  const execution = await runner.run({ payload: {} });
  const ran = execution.getResult();
  assert.ok(ran);
  return { ran, operations: execution.getOperations().length };
}

describe('concurrencyByRole', () => {
  const cases: [Record<string, number>, number, Record<string, number>][] = [
    [{ webapp: 3, coreapp: 33, master: 2 }, 10, { webapp: 1, coreapp: 8, master: 1 }],
    [{ webapp: 1 }, 10, { webapp: 1 }],
    [{ webapp: 8 }, 10, { webapp: 4 }],
    [{ webapp: 40, coreapp: 40 }, 10, { webapp: 5, coreapp: 5 }],
    [{ webapp: 4, coreapp: 4 }, 2, { webapp: 1, coreapp: 1 }],
  ];
  for (const [counts, concurrency, expected] of cases)
    test(`of ${JSON.stringify(counts)} lets ${JSON.stringify(expected)} be busy at once`, () => {
      assert.deepEqual(Object.fromEntries(concurrencyByRole(found(counts), concurrency)), expected);
    });
});

describe('lanesOf', () => {
  const cases: [Record<string, number>, number][] = [
    [{ large: 10, small: 2 }, 6],
    [{ one: 1, two: 2, three: 3 }, 3],
    [{ a: 1, b: 1 }, 1],
    [{ a: 2, b: 2, c: 2 }, 3],
    [{ a: 30, b: 3, c: 1 }, 9],
  ];
  for (const [counts, lanes] of cases)
    test(`of ${JSON.stringify(counts)} keeps each service's containers in half as many of ${lanes} lanes`, () => {
      const role = found(counts).map((container) => ({ ...container, role: 'web' }));
      const made = lanesOf(role, lanes);
      assert.ok(made.length <= lanes);
      assert.deepEqual(
        made
          .flat()
          .map(({ runtimeId }) => runtimeId)
          .sort(),
        role.map(({ runtimeId }) => runtimeId).sort(),
      );
      for (const [service, count] of Object.entries(counts)) {
        const busy = made.filter((lane) => lane.some((container) => container.service === service)).length;
        assert.ok(busy <= Math.max(1, Math.floor(count / 2)), `${busy} of the ${count} of ${service}`);
      }
    });
});

describe('runInEachContainer', () => {
  before(() => LocalDurableTestRunner.setupTestEnvironment());
  after(() => LocalDurableTestRunner.teardownTestEnvironment());

  test('is never busy in all containers of a role at once, and takes one durable operation for each', async () => {
    const reach = new Containers(() => DONE);
    const { ran, operations } = await run(found({ webapp: 3, coreapp: 33, master: 2 }), reach);
    assert.equal(ran.filter(({ ended }) => ended.outcome === 'exited').length, 38);
    for (const [role, most] of Object.entries({ webapp: 1, master: 1, coreapp: 8 }))
      assert.ok((reach.mostBusy.get(role) ?? 0) <= most, `${reach.mostBusy.get(role)} of ${role}`);
    assert.ok(operations < 50, `${operations} operations`);
  });

  test('is never busy in all containers of a service of a role with several', async () => {
    const reach = new Containers(
      () => DONE,
      ({ service }) => service,
    );
    const role = found({ large: 8, small: 2 }).map((container) => ({ ...container, role: 'web' }));
    const { ran } = await run(role, reach);
    assert.deepEqual(
      ran.map(({ container }) => container.runtimeId),
      role.map(({ runtimeId }) => runtimeId),
    );
    assert.ok(ran.every(({ ended }) => ended.outcome === 'exited'));
    assert.equal(reach.mostBusy.get('small'), 1);
    assert.ok((reach.mostBusy.get('large') ?? 0) <= 4);
  });

  test('has the kept statuses removed only when all are noted', async () => {
    const reach = new Containers(() => DONE);
    await run(found({ webapp: 2 }), reach);
    assert.deepEqual(
      reach.calls.map((call) => call.split(' ')[0]),
      ['start', 'start', 'forget', 'forget'],
    );
  });

  test('looks again at a command that takes long, and does not start it anew', async () => {
    const reach = new Containers((_, look) => (look < 4 ? { outcome: 'running', handle: 'h' } : DONE));
    const { ran } = await run(found({ webapp: 1 }), reach);
    assert.deepEqual(ran[0]?.ended, { outcome: 'exited', exitCode: 0, read: 'said' });
    assert.deepEqual(reach.calls, [
      'start webapp 0 run',
      ...Array.from({ length: 3 }, () => 'follow webapp 0 run h'),
      'forget webapp 0 run',
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
    };
    const reach = new Containers(({ runtimeId }, look, id) =>
      look === 1 && id === 'run' ? (first[runtimeId] ?? DONE) : DONE,
    );
    const { ran } = await run(found({ webapp: 5 }), reach);
    assert.deepEqual(
      ran.map(({ ended, attempts }) => `${ended.outcome} ${attempts}`),
      ['exited 1', 'exited 2', 'exited 2', 'exited 2', 'gone 1'],
    );
    assert.deepEqual(
      reach.calls
        .filter((call) => call.startsWith('start'))
        .slice(5)
        .sort(),
      ['start webapp 1 run-2', 'start webapp 2 run', 'start webapp 3 run'],
    );
    assert.deepEqual(reach.calls.filter((call) => call.startsWith('forget')).sort(), [
      'forget webapp 0 run',
      'forget webapp 1 run',
      'forget webapp 1 run-2',
      'forget webapp 2 run',
      'forget webapp 3 run',
    ]);
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
