import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LARGEST_RESULT,
  recordable,
  recordableError,
  recordableName,
  recordableReport,
} from '../../../../functions/shared/run/recordable.ts';
import type { RunReport } from '../../../../functions/shared/run/report.ts';

test('what Lambda takes as a result passes, and one byte more is an error with a sentence', () => {
  const most = 'ä'.repeat((LARGEST_RESULT - 2) / 2);
  assert.equal(recordable('look', most), most);
  assert.equal(recordable('nothing', undefined), undefined);
  assert.throws(() => recordable('look', `${most}x`), {
    name: 'TooLargeToRecord',
    message: /^"look" found more than Lambda keeps on record of a run: 262145 bytes, of which 262144 /,
  });
});

test('a name of any service, or in any letters, becomes one that Lambda takes', () => {
  const name = recordableName(`look at ${'s'.repeat(255)} again`);
  assert.match(name, /^look at s{248}$/);
  assert.match(recordableName('Zeile\n2 für ä'), /^[\x20-\x7E]{1,256}$/);
  assert.equal(recordableName(''), '?');
});

test('an error that quotes a whole statement is cut, and one of a line is as it was', () => {
  const short = new Error('no');
  assert.equal(recordableError(short), short);
  const long = recordableError(new Error('x'.repeat(1_000_000)));
  assert.ok(long instanceof Error);
  assert.ok(JSON.stringify([long.message, long.stack]).length < 100_000);
});

test('a report is told at any size: without its details, then without the last problems, which it says', () => {
  const report = (problems: number, details: number): RunReport => ({
    job: 'log-cleanup',
    deployment: 'latam',
    runId: 'latam-log-cleanup-20261125T053000Z',
    scheduledFor: '',
    startedAt: '',
    endedAt: '',
    outcome: 'partial',
    figures: { containersFailed: problems },
    problems: Array.from({ length: problems }, (_, number) => ({
      what: `${number}: ${'x'.repeat(600)}`,
      where: 'here',
      next: 'Mend it.',
    })),
    details: { all: 'y'.repeat(details) },
  });
  const small = report(3, 1000);
  assert.equal(recordableReport(small), small);
  const { details, problems } = recordableReport(report(3, 300_000));
  assert.deepEqual([details, problems.length], [undefined, 4]);
  assert.match(problems[3]?.what ?? '', /its details are left out, and 0 of 3 problems/);
  const cut = recordableReport(report(5000, 10));
  assert.ok(Buffer.byteLength(JSON.stringify(cut)) <= LARGEST_RESULT);
  assert.equal(cut.figures.containersFailed, 5000);
  assert.match(cut.problems.at(-1)?.what ?? '', /, and 4688 of 5000 problems\.$/);
});
