import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import type { CleaningRun } from '../../../functions/upgrade-check/cleaning-runs.ts';
import type { UpgradeCheckSettings } from '../../../functions/upgrade-check/contract.ts';
import {
  answerOf,
  cleaningFinding,
  type Finding,
  quietFinding,
  rowsFinding,
  type Verdict,
} from '../../../functions/upgrade-check/criteria.ts';
import { withoutEffect } from '../../../functions/upgrade-check/prepare.ts';
import { type SpaceKnown, spaceFinding } from '../../../functions/upgrade-check/space-finding.ts';

const SETTINGS: UpgradeCheckSettings = {
  deployment: 'shop',
  sets: [],
  maximumRows: 2_000_000,
  startRunArn: 'start-run',
  readingJobs: [],
  otherJobs: [],
  storage: [],
};

function finding(answer: Verdict): Finding {
  const about = { criterion: 'weather', what: 'It rains.', where: 'shop', source: 'the sky' };
  return answer === 'yes' ? { ...about, answer } : { ...about, answer, next: 'Wait.', cleaningHelps: false };
}

describe('the answer', () => {
  const cases: [Verdict[], Verdict][] = [
    [['yes', 'yes'], 'yes'],
    [['yes', 'unknown'], 'unknown'],
    [['unknown', 'no'], 'no'],
    [['yes', 'no'], 'no'],
    [[], 'unknown'],
  ];
  for (const [answers, whole] of cases)
    it(`is ${whole} of ${answers.join(' and ') || 'nothing'}`, () => {
      assert.equal(answerOf(answers.map(finding)), whole);
    });
});

describe('the free space of an Aurora MySQL cluster', () => {
  /** Of a table of 2 GB, whose copy goes to the one place, and its temporary files to the other. */
  function known(volume: number | undefined, disk: number | undefined): SpaceKnown {
    const place = { copies: 1, metric: 'Metric' };
    return {
      host: 'database.internal',
      largest: [
        { kind: 'told', value: { kind: 'known', database: 'waweb', table: 'small', bytes: 1e6 } },
        { kind: 'told', value: { kind: 'known', database: 'messageStore', table: 'messages', bytes: 2e9 } },
      ],
      spaces: {
        kind: 'told',
        value: [
          { ...place, name: "the cluster's volume", freeBytes: volume },
          { ...place, name: "the writing instance's own disk", freeBytes: disk },
        ],
      },
    };
  }

  const cases: [string, number | undefined, number | undefined, Verdict][] = [
    ['both have room', 1e13, 30e9, 'yes'],
    ['only the volume has room', 1e13, 1e9, 'no'],
    ['only the disk has room', 1e9, 30e9, 'no'],
    ['the disk’s is not told', 1e13, undefined, 'unknown'],
    ['the volume’s is not told', undefined, 30e9, 'unknown'],
  ];
  for (const [name, volume, disk, answer] of cases)
    it(`is ${answer} where ${name}`, () => {
      const found = spaceFinding(known(volume, disk), SETTINGS);
      assert.equal(found.answer, answer, found.what);
    });

  it('is judged by the largest table, and unknown where the size of one is', () => {
    const sizes = known(1e13, 30e9);
    assert.match(
      spaceFinding(sizes, SETTINGS).what,
      /^The largest table, messages in messageStore, takes 2\.00 GB/,
    );
    const locked = { kind: 'told', value: { kind: 'unknown', reason: 'somebody holds a lock' } } as const;
    const found = spaceFinding({ ...sizes, largest: [...sizes.largest, locked] }, SETTINGS);
    assert.equal(found.answer, 'unknown');
    assert.match(found.what, /is unknown: somebody holds a lock\.$/);
  });
});

describe('the last garbage collection', () => {
  const NOW = Date.parse('2027-01-10T03:00:00Z');
  const settings: UpgradeCheckSettings = {
    ...SETTINGS,
    cleaning: { job: 'message-gc', functionArn: '', tables: [], maximumAgeHours: 24 },
  };
  const ended = (hoursAgo: number, outcome: string) => ({
    kind: 'ended' as const,
    runId: `run-${hoursAgo}`,
    outcome,
    endedAt: NOW - hoursAgo * 3_600_000,
  });
  const judge = (...runs: CleaningRun[]) => cleaningFinding({ kind: 'told', value: runs }, settings, NOW);

  it('is no where the last run did not succeed, though one before it had', () => {
    for (const outcome of ['failed', 'partial', 'TIMED_OUT']) {
      const { answer, what } = judge(ended(1, outcome), ended(5, 'succeeded'));
      assert.equal(answer, 'no');
      assert.match(what, new RegExp(`run-1, ended as ${outcome} 1.0 hours ago, though run-5 had succeeded`));
    }
  });

  it('is that which ended last, in whatever order they are told; one that was skipped is none', () => {
    assert.equal(judge(ended(5, 'succeeded'), ended(1, 'failed')).answer, 'no');
    assert.equal(judge(ended(5, 'failed'), ended(1, 'succeeded')).answer, 'yes');
    assert.equal(judge(ended(1, 'skipped'), ended(5, 'succeeded')).answer, 'yes');
    assert.equal(judge(ended(1, 'skipped')).answer, 'no');
  });
});

it('other runs are also one that began after they were asked for, as the list of the cleaning job has it', () => {
  const runs: CleaningRun[] = [
    { kind: 'running', runId: 'gc-2' },
    { kind: 'ended', runId: 'gc-1', outcome: 'succeeded', endedAt: 0 },
  ];
  const judge = (...running: string[]) =>
    quietFinding({ kind: 'told', value: running }, { kind: 'told', value: runs }, SETTINGS);
  assert.equal(judge().answer, 'no');
  assert.match(judge('gc-2').what, /^gc-2 goes on: /);
  assert.match(judge('media-gc').what, /^media-gc and gc-2 go on: /);
  assert.equal(quietFinding({ kind: 'told', value: [] }, undefined, SETTINGS).answer, 'yes');
});

it('a small table needs room all the same, and numbers are told in units that show them', () => {
  const place = { copies: 2, metric: 'FreeStorageSpace', name: "the instance's volume" };
  const judge = (freeBytes: number) =>
    spaceFinding(
      {
        host: 'database.internal',
        largest: [
          { kind: 'told', value: { kind: 'known', database: 'waweb', table: 'small', bytes: 16_384 } },
        ],
        spaces: { kind: 'told', value: [{ ...place, freeBytes }] },
      },
      SETTINGS,
    );
  const full = judge(0);
  assert.equal(full.answer, 'no');
  assert.match(full.what, /takes 16\.38 kB .* needs 1\.00 GB .* has 0 bytes free/);
  assert.equal(judge(4_000_000).answer, 'no');
  assert.match(judge(4_000_000).what, /has 4\.00 MB free/);
  // Two numbers that differ do not look alike.
  assert.match(judge(998_000_000).what, /needs 1\.00 GB .* has 998\.00 MB free/);
  assert.match(judge(999_999_999).what, /needs 1,000,000,000 bytes .* has 999,999,999 bytes free/);
  assert.equal(judge(2e9).answer, 'yes');
});

it('rows are few enough only if the files could not hold more, unless they are counted', () => {
  const database = {
    engine: 'mysql' as const,
    host: 'database.internal',
    port: 3306,
    certificateAuthority: 'rds',
  };
  const table = { table: 'messages', databases: ['wa1_messageStore'], figure: 'messageRows' };
  const judge = (filesHold: number | undefined, counted?: number) =>
    rowsFinding(
      {
        set: { name: 'wa1', database, secretArn: 'arn', databases: [], tables: [table] },
        table,
        measured: {
          kind: 'told',
          value: {
            database: 'wa1_messageStore',
            rows: {
              kind: 'estimate',
              rows: 504_236,
              atLeast: 168_000,
              atMost: 1_513_000,
              ...(filesHold && { filesHold }),
            },
            bytes: { kind: 'unknown', reason: '' },
          },
        },
        count:
          counted === undefined ? undefined : { kind: 'told', value: { kind: 'counted', rows: counted } },
      },
      SETTINGS,
    );
  assert.equal(judge(undefined).answer, 'yes');
  assert.equal(judge(1_900_000).answer, 'yes');
  const vague = judge(7_000_000);
  assert.equal(vague.answer, 'unknown');
  assert.match(
    vague.what,
    /between 168,000 and 7,000,000 rows .* too vague \(a large delete that was rolled back/,
  );
  assert.match(judge(Number.MAX_SAFE_INTEGER).what, /between 168,000 and any number of rows/);
  assert.equal(judge(7_000_000, 504_236).answer, 'yes');
  assert.equal(judge(7_000_000, 2_500_000).answer, 'no');
});

test('what is too little is told also where something beside it is unknown', () => {
  const place = { copies: 1, metric: 'FreeLocalStorage', name: 'the disk' };
  const told = {
    kind: 'told',
    value: { kind: 'known', database: 'wa', table: 'messages', bytes: 2e9 },
  } as const;
  const locked = { kind: 'told', value: { kind: 'unknown', reason: 'media is locked' } } as const;
  const silent = { kind: 'not-told', error: 'It did not answer.' } as const;
  const of = (largest: SpaceKnown['largest'], ...free: (number | undefined)[]) =>
    spaceFinding(
      {
        host: 'database.internal',
        largest,
        spaces: { kind: 'told', value: free.map((freeBytes) => ({ ...place, freeBytes })) },
      },
      SETTINGS,
    );
  for (const [found, answer, says] of [
    [of([told], undefined, 1e9), 'no', /^The largest table, messages in wa, .* has 1.00 GB free/],
    [of([told, locked], 1e9), 'no', /^The largest table that is known, messages in wa, /],
    [of([silent, told], 1e9, 5e9), 'no', /^The largest table that is known, messages in wa, /],
    [of([told, locked], 5e9), 'unknown', /media is locked/],
    [of([told], 5e9, undefined), 'unknown', /CloudWatch has no FreeLocalStorage/],
    [of([silent], 1e9), 'unknown', /It did not answer/],
  ] as const) {
    assert.equal(found.answer, answer, found.what);
    assert.match(found.what, says);
  }
});

test('why preparing came to nothing is told by what is in the way, and not by rows that are few enough or unknown', () => {
  const of = (criterion: string, answer: Verdict) => ({ ...finding(answer), criterion });
  const rowsYes = of('rows of messages', 'yes');
  const rowsNo = of('rows of messages', 'no');
  const run = (outcome: string) => ({ runId: `gc-${outcome}`, outcome });
  const why = (findings: Finding[], rowsToClean: number | undefined, ...outcomes: string[]) =>
    withoutEffect(
      'message-gc',
      { runs: outcomes.map(run), look: { at: '', findings, rowsAtMost: {}, rowsToClean } },
      rowsToClean,
    );
  assert.equal(
    why([rowsYes, of('other runs', 'no')], 100, 'succeeded', 'succeeded'),
    'After 2 runs of message-gc in a row this is in the way still: other runs.',
  );
  assert.equal(
    why([rowsYes, of('last garbage collection', 'no')], 100, 'failed', 'failed', 'partial'),
    'After 2 runs of message-gc in a row this is in the way still: last garbage collection. Of these runs every one went wrong: gc-failed ended as failed, gc-partial ended as partial. Their reports say why.',
  );
  assert.equal(
    why([of('rows of messages', 'unknown')], undefined, 'succeeded', 'succeeded'),
    'Whether 2 runs of message-gc in a row made the tables smaller is unknown.',
  );
  assert.match(why([rowsNo], 3e6, 'succeeded', 'succeeded'), /less than 2 %, .*: what is left may be unread/);
  assert.match(
    why([rowsNo], 3e6, 'succeeded', 'failed'),
    /less than 2 %.*\. Of these runs one went wrong: gc-failed/,
  );
});
