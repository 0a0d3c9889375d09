import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import type { RotateSecretSettings } from '../../../functions/rotate-secret/contract.ts';
import { rotateSecret } from '../../../functions/rotate-secret/rotate-secret.ts';
import type { Login } from '../../../functions/shared/database/contract/engine.ts';
import { OldPasswordInUse, RotationRefused } from '../../../functions/shared/database/contract/errors.ts';
import type { Strategy } from '../../../functions/shared/database/contract/rotation.ts';
import { administratorOf } from '../../../functions/shared/database/credential/settings.ts';
import { currentSecret, secretState } from '../../../functions/shared/database/credential/stored-secret.ts';
import { credentialRotation } from '../../../functions/shared/database/registry.ts';
import { startContainers } from './containers.ts';
import { anyPassword, databaseFor, type TestDatabase } from './databases.ts';
import { type Fault, watched } from './faults.ts';
import { killedProcesses } from './killed-processes.ts';
import { ROTATION_TOKEN, startSecretsManager } from './secrets-manager.ts';
import { stepEvents } from './steps.ts';

export const SECRET_ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:wa-db-AbCdEf';
export const ADMIN_ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!db-admin-AbCdEf';
const DELIVERY = {
  job: 'credential-rotation',
  functionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:credential-rotation',
  startRunArn: 'arn:aws:lambda:eu-central-1:111122223333:function:start-run',
};

/** A database with its secrets, and what Secrets Manager, the job and an operator do with them. */
export async function rotationBench(t: TestContext, database: TestDatabase) {
  const secretsManager = await startSecretsManager();
  t.after(() => secretsManager.close());
  const { engine, host, port, database: dbname } = database.address;
  const versions = secretsManager.add(SECRET_ARN, {
    engine,
    host,
    port,
    ...(dbname === undefined ? {} : { dbname }),
    ...database.user,
    ownField: 'kept',
  });
  // As RDS makes it: user name and password alone.
  secretsManager.add(ADMIN_ARN, database.rotator);
  const settings: RotateSecretSettings = {
    deployment: 'berlin',
    secretArn: SECRET_ARN,
    database: database.address,
    strategy: database.strategy,
    adminSecretArn: ADMIN_ARN,
    delivery: DELIVERY,
  };
  const parts = { settings, secretsManager: secretsManager.client, lambda: secretsManager.lambda };
  const runSteps = async (token: string) => {
    const outcomes: string[] = [];
    for (const event of stepEvents(SECRET_ARN, token)) outcomes.push(await rotateSecret(parts, event));
    return outcomes;
  };
  const retire = async () => {
    const rotation = await credentialRotation(settings.database, settings.strategy);
    const { secret: current } = await currentSecret(parts.secretsManager, SECRET_ARN);
    return rotation.retire({
      admin: (await administratorOf(settings, parts.secretsManager, current)) ?? current,
      username: current.username,
      read: () => secretState(parts.secretsManager, SECRET_ARN),
    });
  };
  return { database, secretsManager, versions, settings, parts, runSteps, retire };
}

/** Calls and statements after which everything is as before. Whoever has a lock holds it until he is gone. */
const READS = /^(?:Get|Describe|List|SHOW|SET SESSION|SET lock_timeout|SELECT (?!.*_lock\())/i;

/**
 * The points at which something changes, by their numbers: lost, abandoned or killed at any other, a rotation leaves what
 * it left at the one before.
 */
function changing(points: readonly string[]): [at: number, point: string][] {
  return [...points.entries()].filter(([, point]) => !READS.test(point));
}

/** Statements to the database begin with a word in capitals, which no call of AWS does. */
const isStatement = (point: string) => /^[A-Z]+\b/.test(point);

/** Besides, each kind of read once, which a refusal may be taken for something else by. */
function refusable(points: readonly string[]): [at: number, point: string][] {
  return [...points.entries()].filter(([at, point]) => !READS.test(point) || points.indexOf(point) === at);
}

interface RotationTestOptions {
  /**
   * Where calls are broken off: at each, or at the statements to the database alone, where the same code is tested at its calls
   * of AWS with another engine.
   * @default 'everywhere'
   */
  breaksOff?: 'everywhere' | 'at statements';
}

/** What must hold on every engine that keeps old and new credentials valid together. */
export function testRotation(
  label: string,
  start: (strategy: Strategy) => Promise<TestDatabase>,
  strategy: Strategy,
  { breaksOff = 'everywhere' }: RotationTestOptions = {},
): void {
  const isToBreak = ([, point]: [at: number, point: string]) =>
    breaksOff === 'everywhere' || isStatement(point);
  test(`${label}: ${strategy.kind}`, async (t) => {
    const database = await databaseFor(t, start, strategy);
    if (database === undefined) return;
    const bench = await rotationBench(t, database);
    const { versions, runSteps, retire, secretsManager } = bench;
    const seen: string[] = [];
    const points: string[] = [];

    await t.test(
      'a rotation takes 10 calls, two connections and no refused login; more where two users are compared',
      async () => {
        const token = versions.beginRotation();
        const before = await database.counts();
        const { error, points: taken } = await watched(undefined, () => runSteps(token));
        assert.equal(error, undefined);
        points.push(...taken);
        const calls = secretsManager.calls.filter((call) => !/Invoke|Durable|VersionsByFunction/.test(call));
        const isFamily = database.address.engine !== 'postgres';
        // What the current user may do, the other one must be able to do too.
        const compares = database.strategy.kind === 'alternating-users' ? 1 : 0;
        assert.ok(calls.length <= 10 + compares, calls.join(' '));
        const after = await database.counts();
        // On PostgreSQL one of the current user tells in which form the server keeps passwords.
        assert.equal(after.connections - before.connections, (isFamily ? 2 : 3) + compares);
        assert.equal(after.refused, before.refused);
        await retire();
      },
    );

    const containers = startContainers(
      () => versions.read('AWSCURRENT'),
      (login) => database.logIn(login, { transport: 'plain' }),
    );
    const accepts = (login: Login) =>
      database.logIn(login).then(
        () => true,
        () => false,
      );
    /** What credential-rotation does after a rotation. */
    const deliverAndRetire = async () => {
      await containers.roll();
      return retire();
    };
    /** Ends a rotation whatever an earlier attempt left, and checks that nothing was lost meanwhile. */
    const expectRotated = async (token: string, old: Login) => {
      const outcomes = await runSteps(token);
      assert.equal(versions.labels.get('AWSCURRENT'), token);
      const next = versions.read('AWSCURRENT');
      assert.notEqual(next.password, old.password);
      assert.ok(await accepts(next), 'the new credential logs in');
      assert.ok(await accepts(old), 'the old credential logs in until it is retired');
      await deliverAndRetire();
      assert.ok(await accepts(next), 'the new credential logs in after the retirement');
      assert.ok(!(await accepts(old)), 'the old credential is retired');
      return outcomes;
    };
    await t.test('rotates while containers log in, and asks for a run to deliver it', async () => {
      secretsManager.invocations.length = 0;
      const { refused } = await database.counts();
      const old = versions.read('AWSCURRENT');
      const token = versions.beginRotation();
      await runSteps(token);
      assert.deepEqual(secretsManager.invocations, [
        { functionName: DELIVERY.startRunArn, payload: { job: DELIVERY.job, deployment: 'berlin' } },
      ]);
      assert.equal(JSON.parse(versions.values.get(token) ?? '').ownField, 'kept');
      assert.equal((await database.counts()).refused, refused);
      await expectRotated(token, old);
    });

    await t.test('asks for no run while one waits, whatever a list without a qualifier has', async () => {
      secretsManager.invocations.length = 0;
      secretsManager.running.push('berlin-credential-rotation-20260101T020000Z');
      for (const list of ['all versions', '$LATEST'] as const) {
        secretsManager.unqualifiedList = list;
        const token = versions.beginRotation();
        await expectRotated(token, versions.read('AWSCURRENT'));
        assert.deepEqual(secretsManager.invocations, [], list);
      }
      secretsManager.running.length = 0;
    });

    await t.test('every step may be repeated, also after the end', async () => {
      const old = versions.read('AWSCURRENT');
      const token = versions.beginRotation();
      for (const event of stepEvents(SECRET_ARN, token)) {
        await rotateSecret(bench.parts, event);
        await rotateSecret(bench.parts, event);
      }
      await expectRotated(token, old);
      // Late, when the old password is retired: it stays so.
      for (const label of ['kept', 'gone']) {
        assert.deepEqual(
          await runSteps(token),
          ['was-created', 'was-finished', 'tested', 'was-finished'],
          label,
        );
        assert.ok(!(await accepts(old)));
        versions.abandonRotation();
      }
    });

    await t.test(
      'refuses a second rotation before the first password was retired, and drops nothing',
      async () => {
        const old = versions.read('AWSCURRENT');
        const first = versions.beginRotation();
        await runSteps(first);
        const second = versions.beginRotation();
        await assert.rejects(runSteps(second), OldPasswordInUse);
        assert.ok(await accepts(old));
        assert.ok(await accepts(versions.read('AWSCURRENT')));
        // The same rotation goes through once the run has done its part.
        assert.equal(await deliverAndRetire(), 'retired');
        await expectRotated(second, versions.read('AWSCURRENT'));
      },
    );

    await t.test('retires nothing that a rotation in flight needs', async () => {
      const old = versions.read('AWSCURRENT');
      const token = versions.beginRotation();
      for (const event of stepEvents(SECRET_ARN, token).slice(0, 3)) await rotateSecret(bench.parts, event);
      await assert.rejects(retire(), { name: 'RotationUnfinished' });
      await expectRotated(token, old);
    });

    await t.test('refuses a pending version of another user than the one whose turn it is', async () => {
      const token = versions.beginRotation();
      versions.put({
        ClientRequestToken: token,
        RotationToken: ROTATION_TOKEN,
        SecretString: JSON.stringify({ ...database.rotator, password: anyPassword() }),
        VersionStages: ['AWSPENDING'],
      });
      await assert.rejects(runSteps(token), RotationRefused);
      assert.ok(await accepts(versions.read('AWSCURRENT')));
      versions.abandonRotation();
    });

    await t.test('tests the credential in use where a version has no value yet', async () => {
      const token = versions.beginRotation();
      const [, , testOnly] = stepEvents(SECRET_ARN, token);
      assert.ok(testOnly);
      assert.equal(await rotateSecret(bench.parts, testOnly), 'tested');
      versions.abandonRotation();
    });

    for (const kind of ['refused', 'lost'] satisfies Fault[]) {
      await t.test(`a call that is ${kind}, at every point, is made good by the next attempt`, async () => {
        const breaks = kind === 'refused' ? refusable(points) : changing(points);
        for (const [at, point] of breaks.filter(isToBreak)) {
          const old = versions.read('AWSCURRENT');
          const token = versions.beginRotation();
          const { error } = await watched({ at, kind }, () => runSteps(token));
          seen.push(inspect(error, { depth: 9 }));
          assert.ok(error !== undefined, `${point} failed`);
          assert.ok(await accepts(old), `the old credential logs in after ${point}`);
          await expectRotated(token, old);
        }
      });
    }

    await t.test('a rotation that is abandoned after any call does not stop the next one', async () => {
      const outcomes: string[] = [];
      for (const [at, point] of changing(points).filter(isToBreak)) {
        const old = versions.read('AWSCURRENT');
        const lost = versions.beginRotation();
        await watched({ at, kind: 'lost' }, () => runSteps(lost));
        versions.abandonRotation();
        const token = versions.beginRotation();
        if (versions.labels.get('AWSCURRENT') === lost) {
          await assert.rejects(runSteps(token), OldPasswordInUse, point);
          await deliverAndRetire();
          await expectRotated(token, versions.read('AWSCURRENT'));
        } else {
          outcomes.push(...(await expectRotated(token, old)));
        }
      }
      assert.ok(outcomes.includes('healed'), 'one of them had left its password in the database');
    });

    await t.test('a retirement that breaks off at any point is made good by the next', async () => {
      const retirement = async () => {
        const token = versions.beginRotation();
        await runSteps(token);
        await containers.roll();
      };
      await retirement();
      const { points: steps } = await watched(undefined, retire);
      for (const kind of ['refused', 'lost'] satisfies Fault[]) {
        const breaks = kind === 'refused' ? refusable(steps) : changing(steps);
        for (const [at] of breaks.filter(isToBreak)) {
          const old = versions.read('AWSCURRENT');
          await retirement();
          await watched({ at, kind }, retire);
          await retire();
          assert.ok(!(await accepts(old)));
          assert.ok(await accepts(versions.read('AWSCURRENT')));
        }
      }
    });

    await t.test(
      'a function that is killed after any statement leaves what the next attempt ends',
      async () => {
        const changed = changing(points);
        assert.ok(changed.length > 4, 'a value, a lock, a password, a label, an invocation');
        // A call of AWS leaves the same behind whether its answer is lost or whoever made it; a server has an open session, too.
        const changes = changed.filter(([, point]) => isStatement(point));
        t.diagnostic(changes.map(([, point]) => point).join());
        assert.ok(changes.length > 1, 'a lock, a password');
        const processes = await killedProcesses(t, bench, changes.length);
        t.after(() => processes.stop());
        for (const [at] of changes) {
          const old = versions.read('AWSCURRENT');
          const token = versions.beginRotation();
          const output = await processes.runUntilKilled({ arn: SECRET_ARN, token, at });
          seen.push(output);
          assert.ok(await accepts(old));
          await expectRotated(token, old);
        }
      },
    );

    await t.test('no container saw a failed login', async () => {
      await containers.stop();
      assert.deepEqual(containers.logins.reasons, []);
      assert.ok(containers.logins.made > 50, `${containers.logins.made} logins`);
      t.diagnostic(`${containers.logins.made} logins, ${containers.logins.failed} failed`);
    });

    await t.test('no password is in a log, an error or a process argument', async () => {
      const logs = await database.logs();
      const passwords = new Set(secretsManager.values().map((value) => JSON.parse(value).password as string));
      assert.ok(passwords.size > 20, `${passwords.size} passwords`);
      for (const password of passwords) {
        assert.ok(!logs.includes(password), "in the server's log");
        assert.ok(!seen.some((text) => text.includes(password)), 'in an error or in the function’s output');
      }
    });
  });
}
