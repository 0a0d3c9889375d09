import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseFor, postgresDatabase } from '../rotate-secret/databases.ts';
import { type Days, rotationDays } from './rotation-days.ts';

test('containers that read the credential from a copy that nobody named are not locked out', async (t) => {
  const database = await databaseFor(t, postgresDatabase, {
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
  });
  if (database === undefined) return;
  const rotate = async ({ day, current, accepts, logins, aws }: Days) => {
    await day(0);
    const old = current();
    const report = await day(1);
    assert.equal(report.outcome, 'partial', JSON.stringify(report.problems));
    assert.equal(report.figures.rotations, 1);
    assert.ok((await accepts(old)) && (await accepts(current())));
    assert.deepEqual(logins.reasons, []);
    assert.deepEqual(aws.denials, []);
    return report;
  };

  await t.test('none of them logs in with the new one', () =>
    rotationDays(
      database,
      async (days) => {
        const { problems, details } = await rotate(days);
        assert.match(
          problems[0]?.what ?? '',
          /no session of the current credential's user, though tasks run\. The old and the new password are both valid/,
        );
        assert.equal(details?.sessions, 0);
      },
      { props: { copies: [] }, services: { core: { desiredCount: 0 } } },
    ),
  );

  await t.test('one service logs in with the new one, the others with the old one', () =>
    rotationDays(
      database,
      async (days) => {
        const { problems, details } = await rotate(days);
        assert.match(
          problems[0]?.what ?? '',
          /The database has \d+ sessions of wa\w* .*: something uses the old/,
        );
        assert.ok(Number(details?.sessions) > 0);
      },
      { props: { copies: [] } },
    ),
  );
});
