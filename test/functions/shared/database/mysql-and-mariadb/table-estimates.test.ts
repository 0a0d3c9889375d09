import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowsOf } from '../../../../../functions/shared/database/mysql-and-mariadb/table-estimates.ts';
import { assertWithin } from '../sizes/checks.ts';

const SERVER = {
  statistics: { persistent: true, recalculated: true, samplePages: 20 },
  pageBytes: 16_384,
};

function told(rows: number, sampleRows: number | undefined, entries?: number) {
  const row = {
    type: 'BASE TABLE',
    engine: 'InnoDB',
    rows,
    tableBytes: 60_000_000,
    indexBytes: 0,
    freeBytes: 0,
    options: '',
    format: 'Dynamic',
    madeAt: undefined,
    parts: 1,
    isLost: false,
  };
  return rowsOf(
    {
      row,
      sample:
        sampleRows === undefined
          ? undefined
          : { rows: sampleRows, pages: undefined, leafPages: undefined, entries },
    },
    SERVER,
  );
}

test('how wrong a number is goes by the sample that it was reckoned from', () => {
  // A table of 250,000 rows, of which a sample told 336,006: all were deleted.
  assertWithin(told(86_006, 336_006), 0);
  // Half too few were sampled, and nine in ten deleted.
  assertWithin(told(25_000, 250_000), 275_000);
  // Half too few, and as many came.
  assertWithin(told(500_000, 250_000), 750_000);
});

test('a sample from before a bulk load makes the number no vaguer than it is', () => {
  const rows = told(300_000, 2);
  assertWithin(rows, 300_000);
  assert.ok(
    rows.kind === 'estimate' && rows.atLeast > 140_000 && rows.atMost < 610_000,
    JSON.stringify(rows),
  );
});

test('where an index has many more entries than a sample of the rows has rows, or fewer, the truth may be either', () => {
  // MariaDB's of 150,000 short rows on 300 pages and 16,000 long ones on 8,000.
  assertWithin(told(8_334, 8_334, 151_406), 166_000);
  assertWithin(told(548_000, 548_000, 230_000), 166_000);
  // Of which half were deleted since.
  assertWithin(told(4_334, 8_334, 151_406), 83_000);
  const alike = told(166_000, 166_000, 160_000);
  assert.ok(alike.kind === 'estimate' && alike.atLeast > 75_000, JSON.stringify(alike));
});

test('without a right to see the sample, a number is within a factor of three', () => {
  const rows = told(300_000, undefined);
  assert.ok(rows.kind === 'estimate' && rows.atLeast > 99_000 && rows.atMost > 900_000, JSON.stringify(rows));
});
