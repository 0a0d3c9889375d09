import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Duration } from 'aws-cdk-lib';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import { nativePasswordHash } from '../../../functions/shared/database/mysql-and-mariadb/password-hash.ts';
import { HOUR, MINUTE } from '../../rehearsal/aws/deploy.ts';
import {
  anyPassword,
  databaseFor,
  mariadbDatabase,
  mysqlDatabase,
  postgresDatabase,
  type TestDatabase,
} from '../rotate-secret/databases.ts';
import { type Days, rotationDays } from './rotation-days.ts';

interface Combination {
  label: string;
  start(strategy: Strategy): Promise<TestDatabase>;
  strategy: Strategy;
  /** Statements that take from the administrator, and give back, the right to see who logs in. */
  blind: string;
  seeing: string;
  /** The statement that lets the user open so many sessions more, or as many as it likes. @default not tried */
  limit?(user: string, isLimited: boolean): string;
}

const PROCESS = {
  blind: "REVOKE PROCESS ON *.* FROM rotator@'%'",
  seeing: "GRANT PROCESS ON *.* TO rotator@'%'",
};
const COMBINATIONS: Combination[] = [
  ...(['dual-password', 'alternating-users'] as const).flatMap((kind) => [
    {
      label: 'MySQL',
      start: mysqlDatabase,
      strategy: { kind },
      ...PROCESS,
      ...(kind === 'dual-password' && {
        limit: (user: string, isLimited: boolean) =>
          `ALTER USER ${user}@'%' WITH MAX_USER_CONNECTIONS ${isLimited ? 1 : 0}`,
      }),
    },
    { label: 'MariaDB', start: mariadbDatabase, strategy: { kind }, ...PROCESS },
  ]),
  {
    label: 'PostgreSQL',
    start: postgresDatabase,
    strategy: { kind: 'alternating-users', users: ['wa', 'wa_clone'], owner: 'wa' },
    blind: 'REVOKE pg_read_all_stats FROM rotator',
    seeing: 'GRANT pg_read_all_stats TO rotator',
    limit: (user, isLimited) => `ALTER ROLE ${user} CONNECTION LIMIT ${isLimited ? 0 : -1}`,
  },
];

const withWhitespace = ({ username, password }: Login): Login => ({ username, password: `${password} ` });
const asNobody = ({ password }: Login): Login => ({ username: 'nobody', password });

/**
 * Wrong credentials that new containers take for theirs, and the services whose new tasks then cannot log in: in this order in
 * one rotation, each mended before the next run goes on.
 */
const WRONG: [Wrong, ...Wrong[]] = [
  {
    what: 'a trailing blank, for all',
    misread: (login) => withWhitespace(login),
    stopsAt: 'web',
    untouched: ['master', 'core'],
  },
  {
    what: 'another user, for the last task of a service',
    misread: (login, service, _old, task) => (service === 'master' && task === 2 ? asNobody(login) : login),
    stopsAt: 'master',
    untouched: ['core'],
  },
];

/** Of a service that goes task by task, once its first one is mended: how it goes on depends on no engine. */
const LAST: Wrong = {
  what: 'a trailing blank, for the last task of a service that goes task by task',
  misread: (login, service) => (service === 'web' ? withWhitespace(login) : login),
  stopsAt: 'web',
  untouched: ['master', 'core'],
};

/** Of two users it shows, and of two passwords on MySQL. */
const OLD: Wrong = {
  what: 'the old credential, for one service that reads it elsewhere',
  misread: (login, service, old) => (service === 'core' ? old : login),
  stopsAt: 'core',
  untouched: [],
};

interface Wrong {
  what: string;
  /** `task`: its number among those that the service has started meanwhile, from 1 on. */
  misread: (login: Login, service: string, old: Login, task: number) => Login;
  stopsAt: 'web' | 'master' | 'core';
  untouched: string[];
}

/** A rotation that stops again and again, and is gone on with once somebody has mended what was wrong. */
async function expectStops(t: TestContext, days: Days, wrong: readonly Wrong[]): Promise<void> {
  const { current, reading, containers, run, ringing, logins, clock, database } = days;
  const { strategy, address } = database;
  const hasOne = strategy.kind === 'single-password';
  const old = current();
  for (const [index, { what, misread, stopsAt, untouched }] of wrong.entries())
    await t.test(`${what}: the roll stops there, and nobody loses a password that works`, async () => {
      const started = new Map<string, number>();
      const before = containers();
      reading.misread = (login, service) => {
        const task = (started.get(service) ?? 0) + 1;
        started.set(service, task);
        return misread(login, service, old, task);
      };
      const report = await run({ rotate: true });
      assert.equal(report?.outcome, 'failed', JSON.stringify(report?.problems));
      assert.equal(report.figures.rotations, index === 0 ? 1 : 0);
      const [problem] = report.problems;
      const rest = untouched.length > 0 ? `Not touched: ${untouched.join(', ')}\\.` : '';
      assert.match(problem?.what ?? '', new RegExp(`stopped at the service ${stopsAt}: .*${rest}`));
      assert.match(
        problem?.what ?? '',
        /database (refused \d+ logins|has seen \d of its)|log in (as the old user|with the old password)/,
      );
      assert.match(problem?.where ?? '', new RegExp(`service ${stopsAt}`));
      for (const service of untouched) assert.equal(started.get(service) ?? 0, 0, service);
      await expectWho(days, { old, oldLogsIn: !hasOne, newLogsIn: true });
      // The alarm looks at an hour.
      await clock.runUntil(clock.now() + HOUR);
      assert.ok(ringing().includes(`shop-credential-rotation-stopped-${stopsAt}`));

      // Nobody has mended anything: the next run does not go on to the next service either.
      if (address.engine === 'postgres' && index === 0 && !hasOne) {
        const alive = containers().length;
        const again = await run();
        assert.equal(containers().length, alive);
        assert.equal(started.get(stopsAt), 1, 'none of those that work was replaced');
        assert.match(again?.problems[0]?.what ?? '', new RegExp(`stopped at the service ${stopsAt}:`));
        for (const service of untouched) assert.equal(started.get(service) ?? 0, 0, service);
        await expectWho(days, { old, oldLogsIn: true, newLogsIn: true });
      }

      // Somebody mends what they read, and restarts what was wrong.
      reading.misread = (login) => login;
      await Promise.all(
        containers()
          .filter((container) => container.name === stopsAt && !before.includes(container))
          .map((container) => container.kill()),
      );
      await clock.runUntil(clock.now() + 10 * MINUTE);
      logins.reasons.length = 0;
    });

  await t.test('mended, the rotation is ended by the next run', async () => {
    const finished = await run();
    assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
    assert.equal(finished.figures.rotations, 0);
    await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
    // With one password alone those that were not replaced yet were refused.
    if (!hasOne) assert.deepEqual(logins.reasons, []);
  });
}

/** The user has as many sessions as it may when a service in the middle starts its new tasks. */
async function expectLimited(
  t: TestContext,
  days: Days,
  limit: NonNullable<Combination['limit']>,
): Promise<void> {
  await t.test(
    'a limit of connections that is reached in the middle of a roll stops it there, and the next run ends it',
    async () => {
      const { current, reading, run, logins, clock, database } = days;
      const old = current();
      let limited: Promise<unknown> | undefined;
      reading.misread = (login, service) => {
        if (service === 'master') limited ??= database.query(limit(login.username, true));
        return login;
      };
      const report = await run({ rotate: true });
      await limited;
      assert.equal(report?.outcome, 'failed', JSON.stringify(report?.problems));
      assert.match(report.problems[0]?.what ?? '', /stopped at the service master: .*Not touched: core/);
      assert.ok(logins.reasons.length > 0);
      reading.misread = (login) => login;
      await database.query(limit(current().username, false));
      await expectWho(days, { old, oldLogsIn: true, newLogsIn: true });

      await clock.runUntil(clock.now() + 10 * MINUTE);
      logins.reasons.length = 0;
      const finished = await run();
      assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
      assert.equal(finished.figures.rotations, 0);
      await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
      assert.deepEqual(logins.reasons, []);
    },
  );
}

for (const { label, start, strategy, blind, seeing, limit } of COMBINATIONS)
  test(`${label}, ${strategy.kind}: the old password goes only when the new one is proven`, async (t) => {
    const database = await databaseFor(t, start, strategy);
    if (database === undefined) return;
    const props = { steadyTimeout: Duration.minutes(2) };
    const showsOld = strategy.kind === 'alternating-users' || label === 'MySQL';
    // The test's server notes with which of two passwords a login was.
    if (label === 'MySQL') await database.query('GRANT SELECT ON performance_schema.error_log TO rotator');
    await rotationDays(
      database,
      async (days) => {
        const { accepts, aws, run, current, ringing, logins, clock } = days;
        await days.day(0);

        await t.test(
          'the first time that nobody can know, the old one is kept, and it is said how to know',
          async () => {
            const old = current();
            await database.query(blind);
            const report = await run({ rotate: true });
            assert.equal(report?.outcome, 'partial', JSON.stringify(report?.problems));
            assert.equal(report.figures.tasksReplaced, 5);
            assert.deepEqual(
              report.problems.map(({ where }) => where),
              ['web', 'master', 'core'].map((service) => `shop, service ${service}`),
            );
            for (const { what, next } of report.problems) {
              assert.match(what, /may not see who logs in .* old and the new password are both valid/);
              assert.ok(
                next.includes(seeing.replace(/@'%'/, '').replace(' rotator', ' ')) || next.includes('GRANT'),
                next,
              );
            }
            await expectWho(days, { old, oldLogsIn: true, newLogsIn: true });
            // The alarm looks at an hour.
            await clock.runUntil(clock.now() + HOUR);
            const rang = aws.alarms.flatMap(({ alarm, to }) => (to === 'ALARM' ? [alarm] : []));
            assert.ok(rang.includes('shop-credential-rotation-partial'), rang.join(', '));

            await database.query(seeing);
            const finished = await run();
            assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
            assert.deepEqual([finished.figures.rotations, finished.figures.tasksReplaced], [0, 0]);
            await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
          },
        );

        const second = { ...current(), password: anyPassword() };
        if (strategy.kind === 'dual-password')
          await t.test(
            'a second password that a person has given is told once, and left as it is',
            async () => {
              await giveSecondPassword(database, current(), second);
              const told = await run();
              assert.equal(told?.outcome, 'partial', JSON.stringify(told?.problems));
              assert.match(
                told.problems.map(({ what }) => what).join(),
                /^The user has a second valid password/,
              );
              const next = await run();
              assert.equal(next?.outcome, 'succeeded', JSON.stringify(next?.problems));
              await expectWho(days, { old: second, oldLogsIn: true, newLogsIn: true });
              logins.reasons.length = 0;
            },
          );

        await t.test('each service is proven before the next, and then the old one goes', async () => {
          const old = current();
          const report = await run({ rotate: true });
          assert.equal(report?.outcome, 'succeeded', JSON.stringify(report?.problems));
          const { services: rolled } = report.details as { services: { proof: { answer: string } }[] };
          assert.deepEqual(
            rolled.map(({ proof }) => proof.answer),
            ['proven', 'proven', 'proven'],
          );
          assert.deepEqual(logins.reasons, []);
          await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
          assert.equal(await accepts(second), false);
          assert.ok(
            !ringing().some((alarm) => /-stopped-|-unretired|-failed/.test(alarm)),
            ringing().join(', '),
          );
        });

        const isPostgres = database.address.engine === 'postgres';
        const [first, ...rest] = WRONG;
        await expectStops(t, days, [
          first,
          ...(isPostgres ? [LAST] : []),
          ...rest,
          ...(showsOld ? [OLD] : []),
        ]);
        if (limit !== undefined) await expectLimited(t, days, limit);
        assert.deepEqual(aws.denials, []);
      },
      { props },
    );
  });

test('PostgreSQL, single-password: with no old password to keep, a roll stops where nobody knows whether tasks log in', async (t) => {
  const strategy = { kind: 'single-password', user: 'wa' } as const;
  const database = await postgresDatabase(strategy);
  t.after(() => database.stop());
  await rotationDays(
    database,
    async (days) => {
      const { run, current } = days;
      await days.day(0);
      const answersOf = (report: Awaited<ReturnType<typeof run>>) => {
        const { services = [] } = (report?.details ?? {}) as { services?: { proof: { answer: string } }[] };
        return services.map(({ proof }) => proof.answer);
      };

      await t.test('right: each service is proven', async () => {
        const old = current();
        const report = await run({ rotate: true });
        assert.equal(report?.outcome, 'succeeded', JSON.stringify(report?.problems));
        assert.deepEqual(answersOf(report), ['proven', 'proven', 'proven']);
        await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
      });

      await t.test('cannot know: it goes on, for those that are not replaced cannot log in', async () => {
        const old = current();
        await database.query('REVOKE pg_read_all_stats FROM rotator');
        const report = await run({ rotate: true });
        await database.query('GRANT pg_read_all_stats TO rotator');
        assert.equal(report?.outcome, 'succeeded', JSON.stringify(report?.problems));
        assert.deepEqual(answersOf(report), ['unknown', 'unknown', 'unknown']);
        await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
      });

      await expectStops(t, days, WRONG);
    },
    { props: { steadyTimeout: Duration.minutes(2), acceptFailedLogins: true } },
  );
});

/** As somebody does by hand. */
async function giveSecondPassword(
  { address: { engine }, query, logIn }: TestDatabase,
  current: Login,
  second: Login,
): Promise<void> {
  const { username } = current;
  for (const { host } of await query('SELECT Host AS host FROM mysql.user WHERE User = ?', [username])) {
    if (engine === 'mysql')
      await query('ALTER USER ?@? IDENTIFIED BY ? RETAIN CURRENT PASSWORD', [
        username,
        host,
        second.password,
      ]);
    else
      await query(
        'ALTER USER ?@? IDENTIFIED VIA mysql_native_password USING ? OR mysql_native_password USING ?',
        [username, host, nativePasswordHash(current.password), nativePasswordHash(second.password)],
      );
  }
  // MySQL's cache of passwords is empty after that.
  for (const login of [current, second]) await logIn(login);
}

/** Tries both credentials from the address of every container that runs. */
async function expectWho(
  { database, current, accepts, containers }: Days,
  expected: { old: Login; oldLogsIn: boolean; newLogsIn: boolean },
): Promise<void> {
  const next = current();
  assert.ok(await accepts(next));
  for (const { name, address } of containers())
    for (const [login, logsIn] of [
      [expected.old, expected.oldLogsIn],
      [next, expected.newLogsIn],
    ] as const) {
      const works = await database.logIn(login, { from: address, transport: 'plain' }).then(
        () => true,
        () => false,
      );
      assert.equal(works, logsIn, `${name} with ${login === next ? 'the new' : 'the old'} one`);
    }
}
