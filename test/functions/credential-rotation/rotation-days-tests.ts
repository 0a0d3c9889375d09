// In one file though long: all of it is played in the days of one deployment, each on what the ones before have left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { CredentialRotationProps } from '../../../lib/credential-rotation/credential-rotation-props.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { ACCOUNT, HOUR, REGION } from '../../rehearsal/aws/deploy.ts';
import { databaseFor, type TestDatabase } from '../rotate-secret/databases.ts';
import {
  type Days,
  EVENING,
  expectCopies,
  JOB,
  MORNING,
  onOperationEnd,
  PARAMETER,
  rotateByHand,
  rotationDays,
  soon,
} from './rotation-days.ts';
import {
  type BrokenOff,
  CALLS,
  cutAfter,
  killAt,
  oneOfEachKind,
  refuseAfter,
  stopAfter,
} from './run-faults.ts';
import { expectNoPasswordIn, watchFunctions } from './secrecy.ts';

const KILLED = ['after every operation', 'in the middle of any kind of call'] as const;
/** The operation before which a run changes nothing. */
const BEGINNING = 'start the rotation';
/** The last one that changes anything. */
const RETIREMENT = 'retire the old password 1';
/** Those that change something in it. */
const AT_DATABASE = ['the four steps end', RETIREMENT];
const PLACE = { account: ACCOUNT, region: REGION };

export interface RotationDaysOptions {
  props?: Partial<CredentialRotationProps>;
  /**
   * `engine`: what the engine has a part in: a rotation, with a kill after each operation that asks the database, and with a
   * database that cannot be reached from there on, which leaves in it what a run leaves that is stopped there. `strategy`:
   * besides, the courses that a strategy decides, whatever the engine: those stops, a roll that stops, steps that fail,
   * rotations by hand. `everything`: besides, what depends on neither: kills after all other operations and in the middle of a
   * call; stops after all that change anything, each finished by a run of its own; AWS refuses everything from an operation on; each connection refused
   * (rotate-secret's own tests have each call and statement, on each engine).
   * @default 'engine'
   */
  plays?: 'engine' | 'strategy' | 'everything';
}

/** What must hold on every engine, by every strategy. */
export function testRotationDays(
  label: string,
  start: (strategy: Strategy) => Promise<TestDatabase>,
  strategy: Strategy,
  { props = {}, plays = 'engine' }: RotationDaysOptions = {},
): void {
  /** With one password alone containers cannot log in between its change and their own end. */
  const hasGap = strategy.kind === 'single-password';

  test(`${label}: ${strategy.kind}, to the last container`, async (t) => {
    const database = await databaseFor(t, start, strategy);
    if (database === undefined) return;
    await rotationDays(
      database,
      async (days) => {
        const { aws, logins, current, accepts, services, ringing, wire } = days;
        /** Of a whole rotation, in the order in which they end. */
        const operations: string[] = [];
        /** Those of them after which the database is not as after the one before. */
        const atDatabase = new Set<string>();
        /** Those of them after which the database, AWS or the containers are not as after the one before: all others only read. */
        const changing = new Set<string>();
        /** The functions' connections to the database in a whole rotation, before the rotation is asked for. */
        let connectionsBefore = 0;

        /** No run may leave anything else behind, once the next one could do its part. */
        const expectWhole = async (old: Login, after: string): Promise<'rotated' | 'unchanged'> => {
          const next = current();
          const isRotated = next.password !== old.password;
          assert.ok(await accepts(next), `the current credential logs in after ${after}`);
          if (isRotated) assert.ok(!(await accepts(old)), `the old one is retired after ${after}`);
          expectCopies(days, next);
          await expectNoFailedLogin(after);
          return isRotated ? 'rotated' : 'unchanged';
        };
        /** Until the rotation is asked for a run changes nothing, so that one that finishes serves many that broke off. */
        const expectUnchanged = async (old: Login, after: string) => {
          assert.deepEqual(current(), old, `unchanged after ${after}`);
          assert.ok(await accepts(old), after);
          expectCopies(days, old);
          await expectNoFailedLogin(after);
        };
        const expectNoFailedLogin = async (after: string) => {
          // In the gap some fail; at the end none may.
          if (hasGap) logins.reasons.length = 0;
          await logins.round();
          assert.deepEqual(logins.reasons, [], after);
        };
        const expectFinished = (report: RunReport | undefined, after: string) => {
          assert.equal(report?.outcome, 'succeeded', `after ${after}: ${JSON.stringify(report?.problems)}`);
          assert.equal(report.figures.oldPasswordHours, 0, after);
        };

        await t.test('a day on which nothing is due, then a rotation, while containers log in', async (t) => {
          const first = await days.day();
          assert.equal(first.outcome, 'succeeded', JSON.stringify(first.problems));
          assert.equal(first.figures.rotations, 0);
          const old = current();
          const askedBefore = wire.asked;
          let asked = askedBefore;
          const seenOf = watchFunctions(days);
          let running = '';
          const stopLooking = onOperationEnd(days, (name, { calls, changes }) => {
            // After one without a call, all but the run's own record is as it was before.
            if (calls > 0) operations.push(name);
            const latest = operations.at(-1) ?? name;
            if (wire.asked > asked) atDatabase.add(latest);
            const runningBefore = running;
            running = days
              .containers()
              .map(({ runtimeId }) => runtimeId)
              .join();
            if (changes > 0 || running !== runningBefore || AT_DATABASE.includes(latest))
              changing.add(latest);
            asked = wire.asked;
            if (!operations.includes(BEGINNING)) connectionsBefore = asked - askedBefore;
            soon(days, () => logins.round());
          });
          const second = await days.day();
          stopLooking();
          assert.equal(second.outcome, 'succeeded', JSON.stringify(second.problems));
          const { rotations, tasksReplaced, credentialAgeDays, oldPasswordHours } = second.figures;
          assert.deepEqual(
            { rotations, tasksReplaced, credentialAgeDays, oldPasswordHours },
            { rotations: 1, tasksReplaced: 5, credentialAgeDays: 0, oldPasswordHours: 0 },
          );
          assert.deepEqual(Object.keys(second.details?.seconds as object), [
            'preflight',
            'rotate',
            'deliver',
            'roll',
            'verify',
            'retire',
          ]);
          if (hasGap) assert.ok((second.figures.loginGapSeconds ?? 0) > 0);
          else assert.equal(second.figures.refusedLogins ?? 0, 0);
          assert.equal(await expectWhole(old, 'the rotation'), 'rotated');
          assert.equal(aws.ssm.parameter(PARAMETER, PLACE)?.keyId, 'alias/client');
          assert.ok(logins.made > 100, `${logins.made} logins`);
          t.diagnostic(`${operations.length} operations: ${logins.made} logins, ${logins.failed} failed`);
          // One by one, though the percentages would take both away at once.
          assert.equal(services.web.fewestRunning, 1);
          assert.equal(services.master.fewestRunning, 1);
          assert.deepEqual(aws.denials, []);
          assert.deepEqual(ringing(), []);

          const called = (name: string) => [...(aws.servicesFromVpc.get(name) ?? [])].sort();
          assert.deepEqual(called(JOB), ['ecs', 'events', 'lambda', 'secretsmanager', 'ssm']);
          assert.deepEqual(called('shop-rotate-secret'), ['lambda', 'secretsmanager']);
          await expectNoPasswordIn(days, seenOf());
        });

        const begun = () => operations.indexOf(BEGINNING);
        const isBefore = (operation: string) => operations.indexOf(operation) < begun();
        const oneOfEach = (names: string[]) => oneOfEachKind(names, Object.keys(services));
        /** The operations that the engine has a part in, and the one with which the rotation begins. */
        const asking = () =>
          oneOfEach(operations.filter((name) => name === BEGINNING || atDatabase.has(name)));

        /**
         * Breaks runs off after one operation after the other. Each goes on with what the ones before it have left, and the
         * last one finishes.
         */
        const breakOffAfterEach = async (
          points: string[],
          breakOff: (days: Days, operation: string) => BrokenOff,
          expectBrokenOff: (report: RunReport | undefined, point: string) => void,
        ): Promise<void> => {
          let old = current();
          for (const point of points) {
            let broken = breakOff(days, point);
            let report = await days.run({ rotate: true });
            if (!broken.happened()) {
              // The ones before it had left it nothing to do there: it is the end of their rotation.
              broken.mend();
              expectFinished(report, point);
              assert.equal(await expectWhole(old, point), 'rotated');
              old = current();
              broken = breakOff(days, point);
              report = await days.run({ rotate: true });
            }
            assert.ok(broken.happened(), `broken off after ${point}`);
            broken.mend();
            expectBrokenOff(report, point);
            if (isBefore(point)) await expectUnchanged(old, point);
            else assert.ok(await accepts(current()), `the current credential logs in after ${point}`);
            if (!hasGap) await expectNoFailedLogin(point);
          }
          expectFinished(await days.run(), 'all of them');
          assert.equal(await expectWhole(old, 'all of them'), 'rotated');
        };

        for (const where of KILLED.slice(0, plays === 'everything' ? 2 : 1))
          await t.test(`a function that is killed ${where} ends the rotation in the same run`, async (t) => {
            const ends = plays === 'everything' ? oneOfEach(operations) : asking();
            const points = where === 'after every operation' ? ends : CALLS;
            const killedAt = new Set<string>();
            // Each run gets on by at least one: it is killed at the first call that was not killed yet.
            for (let left = points.length; left > 0 && killedAt.size < points.length; left--) {
              const old = current();
              const { stopKilling } = killAt(days, where, points, killedAt);
              const report = await days.run({ rotate: true });
              stopKilling();
              expectFinished(report, where);
              assert.equal(report?.figures.rotations, 1);
              assert.equal(await expectWhole(old, where), 'rotated');
            }
            for (const point of points) assert.ok(killedAt.has(point), point);
            t.diagnostic(`${killedAt.size} kills`);
          });

        if (plays !== 'engine')
          await t.test(
            'a run that is stopped after any operation leaves what the next one finishes',
            async (t) => {
              if (plays !== 'everything') {
                await breakOffAfterEach(asking(), stopAfter, () => {});
                t.diagnostic(`${asking().join(', ')}: ${logins.made} logins, ${logins.failed} failed`);
                return;
              }
              const points = oneOfEach(operations.filter((name) => name === BEGINNING || changing.has(name)));
              for (const [index, operation] of points.entries()) {
                const old = current();
                const stop = stopAfter(days, operation);
                await days.run({ rotate: true });
                assert.ok(stop.happened(), `stopped after ${operation}`);
                // Before the rotation is asked for nothing changes; from then on there is no way back.
                if (isBefore(operation) && isBefore(points[index + 1] ?? BEGINNING)) {
                  await expectUnchanged(old, operation);
                  continue;
                }
                // As "After a failure" in the docs says what is valid until then.
                if (current().password === old.password) assert.ok(hasGap || (await accepts(old)), operation);
                else {
                  assert.ok(await accepts(current()), operation);
                  if (hasGap) assert.ok(!(await accepts(old)), operation);
                }
                expectFinished(await days.run(), operation);
                const outcome = await expectWhole(old, operation);
                assert.equal(outcome, isBefore(operation) ? 'unchanged' : 'rotated', operation);
              }
              t.diagnostic(`${points.join(', ')}: ${logins.made} logins, ${logins.failed} failed`);
            },
          );

        if (plays === 'everything')
          await t.test(
            'a run that AWS refuses all after any operation leaves what the next one finishes',
            () =>
              breakOffAfterEach(oneOfEach(operations), refuseAfter, (report, point) =>
                assert.ok(report, `a report after ${point}`),
              ),
          );

        await t.test(
          'a run that the database refuses any connection fails, and the next one finishes',
          async () => {
            const expectFailed = (report: RunReport | undefined, after: string) => {
              assert.ok(report, after);
              assert.notEqual(report.outcome, 'succeeded', after);
            };
            for (let number = 0; number < (plays === 'everything' ? connectionsBefore : 1); number++) {
              const old = current();
              const after = `connection ${number}`;
              const first = wire.asked + number;
              wire.refuses = (asked) => asked >= first;
              expectFailed(await days.run({ rotate: true }), after);
              wire.refuses = () => false;
              await expectUnchanged(old, after);
            }
            // Whoever has retired the old one asks for refused logins only, and the report can do without.
            const isBeforeTheEnd = (name: string) =>
              operations.indexOf(name) < operations.indexOf(RETIREMENT);
            const rotating = asking().filter((name) => !isBefore(name) && isBeforeTheEnd(name));
            // With one password there is nothing to retire: after the last proof the database is not needed.
            const points = hasGap ? rotating.slice(0, -1) : rotating;
            assert.ok(points.length > 4, points.join(', '));
            await breakOffAfterEach(points, cutAfter, expectFailed);
          },
        );

        if (plays === 'engine') return;
        await t.test(
          'a service that never becomes steady stops the roll, and the next run finishes it',
          async () => {
            const { master, core } = services;
            const old = current();
            const before = core.everyDeployment.length;
            master.fault = 'no-room';
            const notified = aws.notifications.length;
            const stopped = await days.run({ rotate: true });
            assert.equal(stopped?.outcome, 'failed');
            const [{ what = '', where = '' } = {}] = stopped.problems;
            assert.match(what, /stopped at the service master: .*Not touched: core/);
            assert.match(what, /unable to place a task/);
            assert.match(where, /service master/);
            assert.equal(core.everyDeployment.length, before);
            assert.ok(await accepts(current()));
            assert.equal(await accepts(old), !hasGap);
            if (!hasGap) await expectNoFailedLogin('the roll that stopped');
            for (const number of [1, 2]) {
              // ECS has not placed the tasks of the deployment yet, so there is nothing to begin with.
              const again = await days.day();
              assert.equal(again.outcome, 'skipped', `${number}: ${JSON.stringify(again.problems)}`);
            }
            const told = aws.notifications
              .slice(notified)
              .filter(({ subject }) => subject?.includes('-stopped-'));
            assert.equal(told.length, 1);
            assert.match(told[0]?.message ?? '', /stopped at the service master/);
            assert.ok(ringing().includes('shop-credential-rotation-stopped-master'));
            assert.equal(ringing().includes('shop-credential-rotation-unretired'), !hasGap);
            const next = current();
            master.fault = undefined;
            const finished = await days.day();
            expectFinished(finished, 'the roll that stopped');
            assert.equal(finished.figures.rotations, 0);
            assert.deepEqual(current(), next);
            assert.equal(await expectWhole(old, 'the roll that stopped'), 'rotated');
            assert.ok(!ringing().some((alarm) => /-stopped-|-unretired/.test(alarm)));
          },
        );

        await t.test(
          'steps that go on failing change nothing for the containers, and the next run puts it right',
          async () => {
            const old = current();
            const mend = aws.onInvoke(({ functionName, payload }) =>
              functionName === 'shop-rotate-secret' && payload.includes('testSecret')
                ? new Error('the network is away')
                : undefined,
            );
            const stopped = await days.run({ rotate: true });
            mend();
            assert.equal(stopped?.outcome, 'failed');
            assert.match(stopped.problems[0]?.what ?? '', /four steps of the rotation .* did not succeed/);
            assert.equal(stopped.figures.tasksReplaced, 0);
            assert.deepEqual(current(), old);
            // Of one password it is the next one by now, until the next run puts it right ("After a failure" in the docs).
            assert.equal(await accepts(old), !hasGap);
            const finished = await days.day();
            const rang = aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm }) => alarm);
            assert.ok(rang.includes('shop-rotate-secret-failed'));
            expectFinished(finished, 'the failing steps');
            assert.equal(finished.figures.rotations, 1);
            assert.equal(await expectWhole(old, 'the failing steps'), 'rotated');
          },
        );

        await t.test(
          'a rotation by hand is delivered, and a copy that somebody wrote back is put right',
          async () => {
            const old = current();
            const reports = reportsOf(aws).length;
            await days.playUntil(EVENING + HOUR);
            await rotateByHand(days);
            await days.playUntil(EVENING + 3 * HOUR);
            const delivered = reportsOf(aws)[reports];
            expectFinished(delivered, 'the rotation by hand');
            assert.equal(delivered?.figures.tasksReplaced, 5);
            assert.equal(await expectWhole(old, 'the rotation by hand'), 'rotated');
            aws.ssm.write(PARAMETER, `${old.username} ${old.password}`, { ...PLACE, keyId: 'alias/client' });
            const report = await days.run();
            assert.equal(report?.outcome, 'partial');
            assert.match(report.problems[0]?.what ?? '', /parameter shop-WA_DB_PASSWORD held something else/);
            await expectWhole(current(), 'the copy that was put right');
          },
        );

        if (hasGap) return;
        await t.test(
          'two rotations by hand outside the window lose no password, and later runs finish both',
          async () => {
            const old = current();
            await days.playUntil(MORNING);
            await rotateByHand(days);
            await days.playUntil(MORNING + HOUR);
            assert.match(reportsOf(aws).at(-1)?.problems[0]?.what ?? '', /outside the downtime window/);
            const next = current();
            await rotateByHand(days);
            await days.playUntil(MORNING + 2 * HOUR);
            // The second was refused, since the containers still have the first one's predecessor.
            assert.deepEqual(current(), next);
            assert.ok((await accepts(old)) && (await accepts(next)));
            const first = await days.day();
            assert.equal(first.outcome, 'partial', JSON.stringify(first.problems));
            assert.equal(first.figures.tasksReplaced, 5);
            assert.ok((await accepts(next)) && !(await accepts(old)));
            expectFinished(await days.day(), 'the second');
            assert.equal(await expectWhole(next, 'the second'), 'rotated');
          },
        );
      },
      { props },
    );
  });
}
