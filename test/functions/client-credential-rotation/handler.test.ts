import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { Fault } from '../../../rehearsal/faults/fault.ts';
import { playNight } from '../../../rehearsal/night.ts';
import { buildStage, type Stage } from '../../rehearsal/stage.ts';

const ROTATION = 'emea-credential-rotation';
/** Until the rotation is over. */
const LASTS = 5 * 3600 * 1000;

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

/** One night of the cluster, with a rotation. Its report. */
async function rotation(
  strike: Fault['strike'],
  expected: Fault['expected'],
): Promise<RunReport | undefined> {
  const { mismatches, runs } = await playNight({
    ...stage,
    scale: { rows: 100, unread: 0, containers: 'few', rotation: true, loginPause: 3_000 },
    only: ['emea'],
    jobs: ['credential-rotation'],
    faults: [
      {
        description: '',
        deployment: 'emea',
        containers: true,
        rotation: true,
        lasts: LASTS,
        strike,
        expected,
      },
    ],
  });
  assert.deepEqual(mismatches, [], JSON.stringify(runs));
  return runs.find(({ job }) => job === 'credential-rotation');
}

/** The CoreApps and the primary Master of the sample's cluster. */
function connectedNodes(report: RunReport | undefined) {
  return report?.details?.connected as { before?: number | null; after?: number | null } | undefined;
}

test('as many nodes are connected after the roll as before, and the old password is retired', async () => {
  const report = await rotation(() => {}, { outcomes: {}, alarms: [] });
  const { before: atFirst, after: atLast } = connectedNodes(report) ?? {};
  assert.ok(atFirst && atFirst > 1, JSON.stringify(report));
  assert.equal(atLast, atFirst);
  assert.equal(report?.figures.oldPasswordHours, 0);
});

test('a WebApp that does not come back after the roll keeps the old password valid, and the run says so', async () => {
  const report = await rotation(
    ({ webApp }, { aws }) => {
      const stop = aws.onCall(({ caller, operation }) => {
        const rolls = operation === 'UpdateService' || operation === 'StopTask';
        if (caller.function?.name !== ROTATION || !rolls) return undefined;
        stop();
        void webApp.goDown();
        return undefined;
      });
    },
    { outcomes: { 'credential-rotation': ['partial'] }, alarms: [`${ROTATION}-partial`] },
  );
  const { before: atFirst, after: atLast } = connectedNodes(report) ?? {};
  assert.equal(atLast, null);
  assert.match(
    report?.problems[0]?.what ?? '',
    new RegExp(
      `^Before the change ${atFirst} nodes of WebApp's /v1/health were connected; after the roll it cannot tell how many are\\. The old and the new password are both valid\\.$`,
    ),
  );
});

test('a WebApp that cannot be asked beforehand does not keep the password from being rotated', async () => {
  const report = await rotation(({ webApp }) => webApp.goDown(), {
    outcomes: { 'credential-rotation': ['succeeded'] },
    alarms: [],
  });
  assert.deepEqual(connectedNodes(report), {
    parts: "nodes of WebApp's /v1/health",
    before: null,
    after: null,
  });
});
