import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { type DeploymentStatus, isWrong, type JobStatus, textOf } from '../../../bin/status/text.ts';
import type { Outcome } from '../../../functions/shared/run/report.ts';

const NOW = new Date('2026-11-25T09:00:00Z');
const AT = '2026-11-23T02:30:00.000Z';

function jobOf(
  deployment: string,
  job: string,
  outcome: Outcome,
  figures: Record<string, number> = {},
): JobStatus {
  const runId = `${deployment}-${job}-1`;
  return {
    ...{ deployment, job, schedule: 'enabled', next: new Date('2026-11-26T02:30:00Z') },
    last: { runId, status: 'SUCCEEDED', startedAt: new Date(AT), endedAt: new Date(AT) },
    report: {
      ...{ deployment, job, runId, outcome, figures, problems: [] },
      ...{ scheduledFor: AT, startedAt: AT, endedAt: AT },
    },
  };
}

const fleet = Array.from({ length: 50 }, (_, index): DeploymentStatus => {
  const deployment = `shop-${index}`;
  return {
    deployment,
    timeZone: 'Europe/Berlin',
    jobs: [
      jobOf(deployment, 'credential-rotation', 'succeeded', { rotations: 0, credentialAgeDays: 12 }),
      jobOf(deployment, 'database-size', 'succeeded', { messageRows: 97_776, mediaRows: 873 }),
      jobOf(deployment, 'message-gc', index === 7 ? 'failed' : 'succeeded', { calls: 3 }),
    ],
    alarms:
      index === 7
        ? [{ name: 'shop-7-message-gc-failed', since: new Date(AT), means: '', console: 'https://console' }]
        : [],
  };
});

const shown = (
  found: DeploymentStatus[],
  options: { quiet?: boolean; jobs?: boolean; columns?: number } = {},
) =>
  stripVTControlCharacters(textOf(found, { quiet: false, jobs: false, now: NOW, ...options }))
    .trimEnd()
    .split('\n');

test('fifty deployments are on one screen, a line each, and below what is wrong with any', () => {
  const lines = shown(fleet);
  assert.match(lines[0] ?? '', /^deployment +jobs +alarms +last run +next run +rows +credential$/);
  assert.match(
    lines[1] ?? '',
    /^shop-0 +3 well +- +2026-11-23 03:30 +2026-11-26 03:30 +messageRows 97,776, mediaRows 873 +14 days$/,
  );
  assert.match(lines[8] ?? '', /^shop-7 +1 of 3 wrong +1 rings /);
  assert.equal(
    lines.findIndex((line) => line.startsWith('deployment  job ')),
    51,
  );
  assert.match(lines[52] ?? '', /^shop-7 +message-gc +2026-11-23 03:30 +failed /);
  assert.deepEqual(lines.slice(53), [
    'shop-7-message-gc-failed rings since 2026-11-23 03:30',
    '  https://console',
  ]);
  for (const line of lines.slice(0, 51)) assert.ok(line.length <= 120, line);
});

test('fifty deployments are on one screen of a narrow terminal too: a line each, with what fits, and what is wrong below each other', () => {
  const lines = shown(fleet, { columns: 40 });
  assert.match(lines[0] ?? '', /^deployment +jobs +alarms$/);
  assert.match(lines[8] ?? '', /^shop-7 +1 of 3 wrong +1 rings$/);
  assert.deepEqual(lines.slice(51, 57), [
    '(too narrow for: last run, next run, rows, credential)',
    'shop-7',
    '  job: message-gc',
    '  last run: 2026-11-23 03:30',
    '  outcome: failed',
    '  next run: 2026-11-26 03:30',
  ]);
  for (const line of lines.slice(0, 51)) assert.ok(line.length <= 40, line);
  const wider = shown(fleet, { columns: 80 });
  assert.match(wider[0] ?? '', /^deployment +jobs +alarms +last run +next run$/);
  assert.equal(wider[51], '(too narrow for: rows, credential)');
});

test('each job of all is shown if asked for, and of one deployment always, with its rows and the age of its credential', () => {
  const lines = shown(fleet, { jobs: true });
  assert.equal(lines.filter((line) => /^shop-\d+ +(credential|database|message)-/.test(line)).length, 150);
  const [one] = fleet;
  assert.ok(one);
  assert.equal(shown([one]).at(-1), 'shop-0: messageRows 97,776, mediaRows 873, credential 14 days old');
});

test('of several only what is wrong is shown if asked for', () => {
  assert.deepEqual(shown(fleet.slice(0, 5), { quiet: true }), ['Nothing is wrong.']);
  assert.match(shown(fleet, { quiet: true })[1] ?? '', /^shop-7 +message-gc /);
});

test('a run that goes on or was skipped does not hide how the one before it ended, nor what that counted', () => {
  const [one] = fleet;
  const good = jobOf('shop', 'database-size', 'succeeded', { messageRows: 97_776 });
  const before = (outcome: Outcome) => ({
    ...{
      arn: 'arn',
      runId: 'before',
      status: 'SUCCEEDED' as const,
      startedAt: new Date(AT),
      endedAt: new Date(AT),
    },
    report: jobOf('shop', 'database-size', outcome, { messageRows: 97_776 }).report,
  });
  const skipped = jobOf('shop', 'database-size', 'skipped');
  const goesOn = {
    ...good,
    last: { ...good.last, status: 'RUNNING' as const },
    report: undefined,
  } as JobStatus;
  const lost = { ...before('failed'), status: 'TIMED_OUT' as const, report: undefined };
  for (const [job, says, isProblem] of [
    [{ ...skipped, before: before('failed') }, 'skipped, failed before', true],
    [{ ...skipped, before: before('succeeded') }, 'skipped', false],
    [{ ...goesOn, before: before('partial') }, 'goes on, partial before', true],
    [{ ...goesOn, before: lost }, 'goes on, lost (timed out) before', true],
    [{ ...goesOn, before: before('succeeded') }, 'goes on', false],
    [{ ...good, last: undefined, report: undefined }, 'no run known', false],
  ] as const) {
    assert.ok(one);
    const lines = shown([{ ...one, deployment: 'shop', jobs: [job] }]);
    assert.match(lines[1] ?? '', new RegExp(` ${says.replace(/[()]/g, '\\$&')}  +2026-11-26`));
    assert.equal(isWrong(job), isProblem, says);
    if (!says.includes('lost') && says !== 'no run known')
      assert.equal(lines.at(-1), 'shop: messageRows 97,776', says);
  }
});

test('rows that were counted days ago are shown with their day', () => {
  const [one] = fleet;
  assert.ok(one);
  const job = jobOf('shop', 'database-size', 'succeeded', { messageRows: 97_776 });
  const text = textOf([{ ...one, jobs: [job] }], {
    ...{ quiet: false, jobs: false },
    now: new Date('2026-11-27T09:00:00Z'),
  });
  assert.match(text, /^shop-0: messageRows 97,776 \(2026-11-23\)$/m);
});
