import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildStage, type Stage } from '../stage.ts';
import { SOAK_FAULTS } from './faults.ts';
import { soak } from './soak.ts';

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

/** Each day others; a day's failure names its seed, and SOAK_SEED plays that again. */
const SEED = process.env.SOAK_SEED ?? new Date().toISOString().slice(0, 10);

test(`in nights of faults that come together nothing is lost, doubled, leaked or left untold (seed ${SEED})`, async () => {
  const { violations, runs, faults } = await soak({ ...stage, seed: SEED, nights: 6 });
  assert.deepEqual(violations, []);
  assert.ok((runs.succeeded ?? 0) > 10, JSON.stringify(runs));
  assert.ok(Object.keys(faults).every((name) => name in SOAK_FAULTS));
});
