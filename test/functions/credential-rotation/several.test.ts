import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import { reportsOf } from '../../../rehearsal/run-reports.ts';
import { Evidence } from '../../rehearsal/permissions/needed.ts';
import { databaseFor, mariadbDatabase, postgresDatabase } from '../rotate-secret/databases.ts';
import {
  EVENING,
  MORNING,
  ofStock,
  onOperationEnd,
  rotateByHand,
  rotationDays,
  SECOND,
  SECRET,
  soon,
} from './rotation-days.ts';
import { stopAfter } from './run-faults.ts';
import { expectNoPasswordIn, watchFunctions } from './secrecy.ts';

interface Told {
  name: string;
  rotated: boolean;
  retired: boolean;
  proofs: Record<string, { answer: string }>;
}

/** What the report says of each credential. */
function told(report: RunReport | undefined): Record<string, Told> {
  const { credentials = [] } = (report?.details ?? {}) as { credentials?: Told[] };
  return Object.fromEntries(credentials.map((each) => [each.name, each]));
}

/** Of services that are deployed in another way than by ECS's rolling updates, and of parameters of the advanced tier. */
const NOT_HERE = /^(ecs:(List|Describe)ServiceDeployments|kms:GenerateDataKey)$/;

/** Where a run is stopped: between any two of the parts that the credentials take by turns. */
const STOPS = [
  'orders: look at the secret again',
  'stock: look at the secret again',
  'stock: web logs in',
  'orders: retire the old password 1',
];

test('two credentials of two engines, by one roll', async (t) => {
  const first = await databaseFor(t, postgresDatabase, {
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
  });
  const stock = await databaseFor(t, mariadbDatabase, { kind: 'dual-password' });
  if (first === undefined || stock === undefined) return;
  const second = { ...stock, misread: (login: Login, _service: string) => login };

  await rotationDays(
    first,
    async (days) => {
      const { aws, services, logins, current, accepts, ringing } = days;
      const currentStock = () => JSON.parse(aws.secrets.value(SECOND) ?? '') as Login;
      const acceptsStock = (login: Login) =>
        second.logIn(login).then(
          () => true,
          () => false,
        );
      const expectRetired = async (old: { orders: Login; stock: Login }, after: string) => {
        assert.notEqual(current().password, old.orders.password, after);
        assert.notEqual(currentStock().password, old.stock.password, after);
        assert.deepEqual(
          [
            await accepts(current()),
            await acceptsStock(currentStock()),
            await accepts(old.orders),
            await acceptsStock(old.stock),
          ],
          [true, true, false, false],
          after,
        );
        await logins.round();
        assert.deepEqual(logins.reasons, [], after);
      };
      const both = () => ({ orders: current(), stock: currentStock() });
      await days.day(0);

      await t.test(
        'both are rotated, each service is rolled once, and each is proven and retired',
        async () => {
          const old = both();
          const seenOf = watchFunctions(days);
          const operations: string[] = [];
          const stopLooking = onOperationEnd(days, (name) => operations.push(name));
          const report = await days.day(1);
          stopLooking();
          assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
          const { rotations, tasksReplaced, oldPasswordHours, credentialAgeDays } = report.figures;
          assert.deepEqual(
            { rotations, tasksReplaced, oldPasswordHours, credentialAgeDays },
            { rotations: 2, tasksReplaced: 5, oldPasswordHours: 0, credentialAgeDays: 0 },
          );
          for (const [name, { rotated, retired, proofs }] of Object.entries(told(report))) {
            assert.ok(rotated && retired, name);
            assert.deepEqual(
              Object.entries(proofs).map(([service, { answer }]) => [service, answer]),
              [
                ['web', 'proven'],
                ['master', 'proven'],
                ['core', 'proven'],
              ],
              name,
            );
          }
          assert.deepEqual(Object.keys(told(report)), ['orders', 'stock']);
          assert.ok(
            operations.indexOf('stock: start the rotation') >
              operations.indexOf('orders: look at the secret again'),
          );
          assert.equal(services.core.everyDeployment.length, 2, 'its first one, and that of the roll');
          assert.equal(services.web.fewestRunning, 1);
          await expectRetired(old, 'the rotation');
          assert.deepEqual(ringing(), []);
          await expectNoPasswordIn(days, seenOf());
          for (const stop of STOPS) assert.ok(operations.includes(stop), `${stop}: ${operations.join(', ')}`);
        },
      );

      await t.test(
        'a run that is stopped between any two parts leaves what the next one finishes',
        async () => {
          for (const point of STOPS) {
            const old = both();
            const stop = stopAfter(days, point);
            await days.run({ rotate: true });
            assert.ok(stop.happened(), point);
            stop.mend();
            assert.deepEqual(
              [await accepts(current()), await acceptsStock(currentStock())],
              [true, true],
              point,
            );
            await logins.round();
            assert.deepEqual(logins.reasons, [], point);
            const deployments = services.core.everyDeployment.length;
            const finished = await days.run({ rotate: true });
            assert.equal(finished?.outcome, 'succeeded', `${point}: ${JSON.stringify(finished?.problems)}`);
            assert.ok(services.core.everyDeployment.length <= deployments + 1, `${point}: rolled once`);
            await expectRetired(old, point);
          }
        },
      );

      await t.test(
        'where one fails none after it is begun, and those before it are carried to the end',
        async () => {
          for (const [failing, others] of [
            ['rotate-secret-stock', 'orders'],
            ['rotate-secret-orders', 'stock'],
          ] as const) {
            const old = both();
            const notified = aws.alarms.length;
            const mend = aws.onInvoke(({ functionName }) =>
              functionName === `shop-${failing}` ? new Error('The test refuses it.') : undefined,
            );
            const report = await days.run({ rotate: true });
            mend();
            assert.equal(report?.outcome, others === 'orders' ? 'partial' : 'failed', JSON.stringify(report));
            const text =
              report?.problems.map(({ what, where, next }) => `${where}: ${what} ${next}`).join('\n') ?? '';
            if (others === 'orders') {
              assert.match(text, /credential stock: .*did not succeed.*shop-rotate-secret-stock which step/);
              assert.ok(told(report).orders?.retired && !(await accepts(old.orders)));
            } else {
              assert.match(text, /credential orders: .*did not succeed/);
              assert.match(
                text,
                /credential stock: The rotation of stock was not begun, because that of orders failed/,
              );
              assert.deepEqual(currentStock(), old.stock);
            }
            await days.playUntil(20.5 * 3600 * 1000);
            const rang = aws.alarms.slice(notified).filter(({ to }) => to === 'ALARM');
            assert.ok(
              rang.some(({ alarm }) => alarm === `shop-${failing}-failed`),
              rang.map(({ alarm }) => alarm).join(),
            );
            const before = both();
            const finished = await days.run({ rotate: true });
            assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
            await expectRetired(before, failing);
          }
        },
      );

      await t.test(
        'where containers take one of them from elsewhere the roll stops there, and names it',
        async () => {
          const old = both();
          const before = services.master.everyDeployment.length;
          second.misread = (login, service) =>
            service === 'web' ? { ...login, password: 'of yesterday' } : login;
          const stopped = await days.run({ rotate: true });
          assert.equal(stopped?.outcome, 'failed', JSON.stringify(stopped?.problems));
          assert.match(
            stopped.problems.map(({ what }) => what).join(),
            /stopped at the service web: Of stock: .*Not touched: master, core/,
          );
          assert.equal(services.master.everyDeployment.length, before);
          assert.deepEqual(
            [await accepts(old.orders), await acceptsStock(old.stock), await accepts(current())],
            [true, true, true],
          );
          second.misread = (login) => login;
          // As the report says, so that others take their place.
          for (const container of days.containers()) if (container.name === 'web') await container.kill();
          const finished = await days.run();
          assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
          assert.deepEqual([await accepts(old.orders), await acceptsStock(old.stock)], [false, false]);
        },
      );

      await t.test(
        'one that somebody rotates by hand is carried to the end, and the other is left alone',
        async () => {
          // Of more than one page, as is asked for by a right of its own.
          aws.lambda.durable.page = 2;
          for (const [name, arn, other] of [
            ['stock', SECOND, 'orders'],
            ['orders', SECRET, 'stock'],
          ] as const) {
            await days.playUntil(EVENING);
            const old = both();
            const logInWith = name === 'stock' ? acceptsStock : accepts;
            await rotateByHand(days, arn);
            await days.playUntil(MORNING);
            assert.deepEqual(both()[other], old[other]);
            assert.notEqual(both()[name].password, old[name].password);
            assert.deepEqual(
              [await logInWith(both()[name]), await logInWith(old[name])],
              [true, false],
              name,
            );
            const report = told(reportsOf(aws).at(-1));
            assert.deepEqual([report[other]?.rotated, report[name]?.retired], [false, true], name);
          }
          await logins.round();
          assert.ok(!logins.reasons.some((reason) => !reason.startsWith('web:')), logins.reasons.join());
        },
      );

      await t.test(
        'where the database refuses to retire one the others are retired, and it is told what stays valid until that is mended',
        async () => {
          await days.playUntil(EVENING);
          const old = both();
          const failedBefore = logins.reasons.length;
          const valid = async () => [await accepts(old.orders), await acceptsStock(old.stock)];
          const stopListening = onOperationEnd(days, (name) => {
            if (name === 'stock: deliver')
              soon(days, () => void first.query('ALTER ROLE rotator NOCREATEROLE'));
          });
          const refused = await days.run({ rotate: true });
          stopListening();
          assert.deepEqual(await valid(), [true, false]);
          // Nothing was mended: it is told again, no task is replaced for it, and a password in use is never set.
          const again = await days.run();
          for (const report of [refused, again]) {
            assert.equal(report?.outcome, 'partial', JSON.stringify(report));
            assert.equal(report.problems.length, 1, JSON.stringify(report.problems));
            const [{ what = '', where = '', next = '' } = {}] = report.problems;
            assert.equal(where, 'shop, credential orders');
            assert.match(what, /the old one was not retired: .*: ALTER ROLE "rotator" CREATEROLE, /);
            assert.match(next, /the next run retires it\. Until then both are valid\.$/);
            const { orders, stock } = told(report);
            assert.deepEqual([orders?.retired, stock?.retired], [false, true]);
          }
          assert.deepEqual([refused?.figures.rotations, again?.figures.tasksReplaced], [2, 0]);
          assert.deepEqual(await valid(), [true, false]);
          await first.query('ALTER ROLE rotator CREATEROLE');
          const finished = await days.run();
          assert.equal(finished?.outcome, 'succeeded', JSON.stringify(finished?.problems));
          assert.equal(finished.figures.tasksReplaced, 0);
          assert.deepEqual(await valid(), [false, false]);
          await logins.round();
          assert.deepEqual(logins.reasons.slice(failedBefore), []);
        },
      );

      await t.test('each right is needed, and each function has those to its own secret only', () => {
        const evidence = new Evidence();
        evidence.add({ aws });
        const rights = evidence.allowed.filter(
          ({ of, kind, action }) =>
            kind === 'identity' && /Rotation(Job|Rotate|Other)/.test(of) && !NOT_HERE.test(action),
        );
        assert.ok(rights.length > 40, JSON.stringify(rights));
        assert.deepEqual(
          rights.filter((each) => !evidence.isNeeded(each)),
          [],
        );
        for (const [name, arn] of [
          ['orders', SECRET],
          ['stock', SECOND],
        ] as const) {
          const own = aws.calls.filter(
            ({ who, action }) =>
              who.includes(`shop-rotate-secret-${name}`) && /secretsmanager:(Put|Update)/.test(action),
          );
          assert.ok(own.length > 0 && own.every(({ resource }) => resource === arn), name);
        }
      });
    },
    { second, props: { name: 'orders' } },
  );

  const withGap = {
    ...first,
    strategy: { kind: 'single-password', user: first.user.username } as const,
    misread: second.misread,
    readers: ['web', 'master'],
  };
  const services = [
    { name: 'web' },
    { name: 'master' },
    { name: 'core', oneAtATime: true, reads: ['orders'] },
  ];
  await rotationDays(
    second,
    async (days) => {
      const { aws, current, logins, services, run } = days;
      const stock = () => aws.secrets.value(SECOND);
      await days.day(0);

      await t.test(
        'a service that is given one that it does not read as is said stops all before it begins',
        async () => {
          const before = [current(), stock()];
          const { secrets: given = [] } = services.core.options;
          services.core.options.secrets = [...given, ofStock];
          const report = await run({ rotate: true });
          services.core.options.secrets = given;
          assert.equal(report?.outcome, 'failed');
          assert.deepEqual(
            report.problems.map(({ where, next }) => `${where}: ${next}`),
            [
              'shop, service core, credential stock: Name it among the services, and stock in its reads, or give it a user of its own.',
            ],
          );
          assert.deepEqual([current(), stock()], before);
        },
      );

      await t.test(
        'the gap of the one that has one password alone is told, and those who do not read it have none',
        async () => {
          const begun = days.clock.now();
          const report = await run({ rotate: true });
          assert.equal(report?.outcome, 'succeeded', JSON.stringify(report?.problems));
          const { rotations, tasksReplaced, loginGapSeconds = 0, oldPasswordHours } = report.figures;
          assert.deepEqual(
            { rotations, tasksReplaced, oldPasswordHours },
            { rotations: 2, tasksReplaced: 5, oldPasswordHours: 0 },
          );
          assert.ok(loginGapSeconds > 0, String(loginGapSeconds));
          assert.ok(loginGapSeconds <= (days.clock.now() - begun) / 1000, String(loginGapSeconds));
          const { orders, stock } = told(report);
          assert.deepEqual(Object.keys(orders?.proofs ?? {}), ['web', 'master', 'core']);
          assert.deepEqual(Object.keys(stock?.proofs ?? {}), ['web', 'master']);
          const failing = new Set(logins.reasons.map((reason) => reason.split(':')[0]));
          assert.ok(!failing.has('core'), logins.reasons.join());
          const failed = logins.failed;
          await logins.round();
          assert.equal(logins.failed, failed, logins.reasons.slice(failed).join());
        },
      );
    },
    { second: withGap, props: { name: 'orders', services } },
  );
});
