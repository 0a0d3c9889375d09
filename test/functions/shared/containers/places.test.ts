import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { concurrencyByRole } from '../../../../functions/shared/containers/places.ts';

describe('concurrencyByRole', () => {
  const cases: [Record<string, number>, number, Record<string, number>][] = [
    [{ webapp: 3, coreapp: 33, master: 2 }, 10, { webapp: 1, coreapp: 8, master: 1 }],
    [{ webapp: 3, coreapp: 33, master: 2 }, 20, { webapp: 2, coreapp: 17, master: 1 }],
    [{ webapp: 3, coreapp: 33, master: 2 }, 100, { webapp: 2, coreapp: 17, master: 1 }],
    [{ webapp: 1 }, 10, { webapp: 1 }],
    [{ webapp: 2 }, 10, { webapp: 1 }],
    [{ webapp: 8 }, 10, { webapp: 4 }],
    [{ webapp: 40, coreapp: 40 }, 10, { webapp: 5, coreapp: 5 }],
    [{ webapp: 4, coreapp: 4 }, 2, { webapp: 1, coreapp: 1 }],
  ];
  for (const [counts, concurrency, expected] of cases)
    test(`of ${JSON.stringify(counts)} lets ${JSON.stringify(expected)} be busy at once, of ${concurrency}`, () => {
      const containers = Object.entries(counts).flatMap(([role, count]) => Array(count).fill({ role }));
      assert.deepEqual(Object.fromEntries(concurrencyByRole(containers, concurrency)), expected);
    });
});
