import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration } from 'aws-cdk-lib';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import { HOUR, MINUTE } from '../../rehearsal/aws/deploy.ts';
import {
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
}

const PROCESS = {
  blind: "REVOKE PROCESS ON *.* FROM rotator@'%'",
  seeing: "GRANT PROCESS ON *.* TO rotator@'%'",
};
const COMBINATIONS: Combination[] = [
  ...(['dual-password', 'alternating-users'] as const).flatMap((kind) => [
    { label: 'MySQL', start: mysqlDatabase, strategy: { kind }, ...PROCESS },
    { label: 'MariaDB', start: mariadbDatabase, strategy: { kind }, ...PROCESS },
  ]),
  {
    label: 'PostgreSQL',
    start: postgresDatabase,
    strategy: { kind: 'alternating-users', users: ['wa', 'wa_clone'], owner: 'wa' },
    blind: 'REVOKE pg_read_all_stats FROM rotator',
    seeing: 'GRANT pg_read_all_stats TO rotator',
  },
];

const withWhitespace = ({ username, password }: Login): Login => ({ username, password: `${password} ` });
const asNobody = ({ password }: Login): Login => ({ username: 'nobody', password });

/** Wrong credentials that new containers take for theirs, and the services whose new tasks then cannot log in. */
const WRONG: {
  what: string;
  misread: (started: number, login: Login, service: string) => Login;
  stopsAt: string;
  untouched: string[];
}[] = [
  {
    what: 'a trailing blank, for all',
    misread: (_started, login) => withWhitespace(login),
    stopsAt: 'web',
    untouched: ['master', 'core'],
  },
  {
    what: 'another user, for one service',
    misread: (_started, login, service) => (service === 'master' ? asNobody(login) : login),
    stopsAt: 'master',
    untouched: ['core'],
  },
  {
    what: 'a trailing blank, for the last task of a service',
    misread: (started, login, service) =>
      service === 'web' && started === 2 ? withWhitespace(login) : login,
    stopsAt: 'web',
    untouched: ['master', 'core'],
  },
];

for (const { label, start, strategy, blind, seeing } of COMBINATIONS)
  test(`${label}, ${strategy.kind}: the old password goes only when the new one is proven`, async (t) => {
    const database = await databaseFor(t, start, strategy);
    if (database === undefined) return;
    const props = { steadyTimeout: Duration.minutes(2) };
    // By another user sessions tell the same on each engine: what comes of it is played on PostgreSQL.
    const wrong = label !== 'PostgreSQL' && strategy.kind === 'alternating-users' ? WRONG.slice(-1) : WRONG;
    await rotationDays(
      database,
      async (days) => {
        const { aws, run, current, reading, containers, services, ringing, logins } = days;
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

            await database.query(seeing);
            const finished = await run();
            assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
            assert.deepEqual([finished.figures.rotations, finished.figures.tasksReplaced], [0, 0]);
            await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
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
          assert.ok(
            !ringing().some((alarm) => /-stopped-|-unretired|-failed/.test(alarm)),
            ringing().join(', '),
          );
        });

        for (const { what, misread, stopsAt, untouched } of wrong)
          await t.test(`${what}: the roll stops there, and nobody loses a password that works`, async () => {
            const old = current();
            const started = new Map<string, number>();
            reading.misread = (login, service) => {
              started.set(service, (started.get(service) ?? 0) + 1);
              return misread(started.get(service) ?? 0, login, service);
            };
            const report = await run({ rotate: true });
            assert.equal(report?.outcome, 'failed', JSON.stringify(report?.problems));
            const [problem] = report.problems;
            assert.match(
              problem?.what ?? '',
              new RegExp(`stopped at the service ${stopsAt}: .*Not touched: ${untouched.join(', ')}\\.`),
            );
            assert.match(problem?.what ?? '', /database (refused \d+ logins|has seen \d of its)/);
            assert.match(problem?.where ?? '', new RegExp(`service ${stopsAt}`));
            for (const service of untouched) assert.equal(started.get(service) ?? 0, 0, service);
            await expectWho(days, { old, oldLogsIn: true, newLogsIn: true });
            // The alarm looks at an hour.
            await days.clock.runUntil(days.clock.now() + HOUR);
            assert.ok(ringing().includes(`shop-credential-rotation-stopped-${stopsAt}`));

            // Somebody mends what they read, and restarts what was wrong.
            reading.misread = (login) => login;
            const wrong = services[stopsAt as keyof typeof services];
            await Promise.all(
              containers()
                .filter(({ name }) => name === wrong.options.service)
                .map((container) => container.kill()),
            );
            await days.clock.runUntil(days.clock.now() + 10 * MINUTE);
            logins.reasons.length = 0;
            const finished = await run();
            assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
            assert.equal(finished.figures.rotations, 0);
            await expectWho(days, { old, oldLogsIn: false, newLogsIn: true });
            assert.deepEqual(logins.reasons, []);
          });
        assert.deepEqual(aws.denials, []);
      },
      { props },
    );
  });

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
