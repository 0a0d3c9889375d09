import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanUpMany } from './many-containers.ts';

test('the deployed function cleans up in more containers than one operation holds, by one ExecuteCommand each', async () => {
  const { report, record, containers, calls, busiest } = await cleanUpMany(140, 60, { readingDelay: 0 });
  assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
  assert.deepEqual([report.figures.containersCleaned, calls.ExecuteCommand], [140, 140]);
  assert.ok(containers.every(({ starts }) => starts === 1));
  assert.ok(record.operations < 20 && record.largest < 131_072, JSON.stringify(record));
  for (const [service, most] of Object.entries(busiest)) {
    const all = containers.filter(({ name }) => name === service).length;
    assert.ok(most <= Math.ceil(all / 2), `${most} of ${all} of ${service} at once`);
  }
});
