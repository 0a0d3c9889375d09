import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { undoAbandoned } from '../../../functions/credential-rotation/database.ts';
import { rotateSecret } from '../../../functions/rotate-secret/rotate-secret.ts';
import { databaseFor, mariadbDatabase, mysqlDatabase, postgresDatabase } from '../rotate-secret/databases.ts';
import { rotationBench, SECRET_ARN } from '../rotate-secret/rotation-tests.ts';
import { stepEvents } from '../rotate-secret/steps.ts';
import { rotationDays } from './rotation-days.ts';

test('PostgreSQL: the first rotation of alternating users is abandoned, and the next run rotates', async (t) => {
  const database = await databaseFor(t, postgresDatabase, {
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
  });
  if (database === undefined) return;
  await rotationDays(database, async ({ aws, day, current, accepts, logins }) => {
    await day(0);
    const old = current();
    // The second user is open by then, with a password that no version before this one knows.
    const mend = aws.onInvoke(({ functionName, payload }) =>
      functionName === 'shop-rotate-secret' && payload.includes('testSecret')
        ? new Error('the network is away')
        : undefined,
    );
    const abandoned = await day(1);
    mend();
    assert.equal(abandoned.outcome, 'failed');
    assert.deepEqual(current(), old);
    const report = await day(2);
    assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
    assert.equal(report.figures.rotations, 1);
    assert.equal(report.figures.tasksReplaced, 5);
    assert.notEqual(current().username, old.username);
    assert.ok((await accepts(current())) && !(await accepts(old)));
    assert.deepEqual(logins.reasons, []);
    assert.deepEqual(aws.denials, []);
  });
});

/** Steps are done at once. */
const context = { step: (_: string, work: () => Promise<unknown>) => work() } as unknown as DurableContext;

// What a run makes of it depends on no engine; how it closes the second user does.
for (const [label, start] of [
  ['MySQL', mysqlDatabase],
  ['MariaDB', mariadbDatabase],
] as const)
  test(`${label}: the first rotation of alternating users is abandoned, and the next one rotates`, async (t) => {
    const database = await databaseFor(t, start, { kind: 'alternating-users' });
    if (database === undefined) return;
    const { settings, secretsManager, parts, versions, runSteps, retire } = await rotationBench(t, database);
    const old = versions.read('AWSCURRENT');
    const lost = versions.beginRotation();
    for (const event of stepEvents(SECRET_ARN, lost).slice(0, 2)) await rotateSecret(parts, event);
    const opened = versions.read('AWSPENDING');
    await database.logIn(opened);
    const undo = () => undoAbandoned(context, settings, secretsManager.client, lost);
    assert.deepEqual(await undo(), { kind: 'done', value: 'undone' });
    assert.deepEqual(await undo(), { kind: 'done', value: 'nothing-to-undo' });
    await assert.rejects(database.logIn(opened));
    await database.logIn(old);
    versions.abandonRotation();

    await runSteps(versions.beginRotation());
    const next = versions.read('AWSCURRENT');
    assert.equal(next.username, opened.username);
    assert.equal(await retire(), 'retired');
    await database.logIn(next);
    await assert.rejects(database.logIn(old));
    // Nobody has it any more.
    await assert.rejects(database.logIn(opened));
  });
