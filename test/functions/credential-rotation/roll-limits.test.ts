import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { recordedInParts } from '../../../functions/credential-rotation/logins-before.ts';
import { LARGEST_RESULT } from '../../../functions/shared/run/recordable.ts';
import { rollSize } from '../../docs/roll-size.ts';

/** Counts of a server that has seen as many addresses, as random as they can be. */
function seen(addresses: number) {
  const all = Array.from({ length: addresses }, () => crypto.randomUUID());
  return {
    mark: {
      at: '7',
      logins: Object.fromEntries(all.map((address, number) => [`${address} wa`, number])),
      refusedFrom: Object.fromEntries(all.map((address) => [address, 1])),
    },
    addresses: all,
    services: { web: { tasks: addresses, seen: 3 } },
  };
}

for (const [addresses, parts] of [
  [100, 1],
  [50_000, undefined],
] as const)
  test(`what a server has seen of ${addresses} addresses is recorded whole, in steps that Lambda takes`, async () => {
    const value = seen(addresses);
    const names: string[] = [];
    const context = {
      async step(name: string, work: () => Promise<unknown>) {
        const recorded = JSON.stringify(await work());
        assert.ok(Buffer.byteLength(recorded) <= LARGEST_RESULT, `${name}: ${recorded.length}`);
        names.push(name);
        return JSON.parse(recorded);
      },
    } as unknown as DurableContext;
    const before = await recordedInParts(context, 'look', async () => value);
    assert.deepEqual(
      { ...before, addresses: before.addresses.toSorted() },
      { ...value, addresses: value.addresses.toSorted() },
    );
    assert.ok(parts === 1 ? names.length === 1 : names.length > 10, names.join());
  });

test('a database that does not answer in one of the parts gives no mark', async () => {
  const value = seen(20_000);
  let looks = 0;
  const context = {
    step: async (_name: string, work: () => Promise<unknown>) => work(),
  } as unknown as DurableContext;
  const { mark, addresses, unread } = await recordedInParts(context, 'look', async () => {
    looks += 1;
    return looks === 3
      ? { addresses: value.addresses, services: value.services, unread: 'The network is away.' }
      : value;
  });
  assert.equal(mark, undefined);
  assert.equal(unread, 'The network is away.');
  assert.equal(addresses.length, 20_000);
});

test('a roll for which Lambda would not have room stops before that, and the next run goes on', async () => {
  const { operations, done, stopped } = await rollSize(1000, {
    kind: 'task-by-task',
    limitSeconds: 20 * 3600,
  });
  assert.ok(operations > 2000 && operations < 2600, `${operations}`);
  assert.ok(done > 100 && done < 1000, `${done}`);
  assert.match(
    stopped ?? '',
    /Lambda keeps 3000 operations of a run on record.*the next run goes on from there/,
  );
});

test('a roll leaves room for the looks that come after it, however long these may take', async () => {
  const steadyTimeoutSeconds = 3 * 3600;
  const { operations, done, stopped } = await rollSize(1000, {
    kind: 'task-by-task',
    limitSeconds: 20 * 3600,
    steadyTimeoutSeconds,
  });
  assert.match(stopped ?? '', /too few are left to go on/);
  assert.ok(done > 10, `${done}`);
  // At old tasks, and at the application, each 15 seconds.
  const after = (2 * steadyTimeoutSeconds) / 15;
  assert.ok(operations + after < 3000, `${operations} and ${after}`);
});
