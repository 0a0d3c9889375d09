import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import {
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
} from '@aws-sdk/client-ecs';
import type { CredentialRotationSettings } from '../../../functions/credential-rotation/contract.ts';
import type { LoginsBefore } from '../../../functions/credential-rotation/logins-before.ts';
import { loginsBefore, proveLogins } from '../../../functions/credential-rotation/prove-logins.ts';
import { keptBecauseOf, stopsRoll } from '../../../functions/credential-rotation/unproven.ts';
import { postgresDatabase } from '../rotate-secret/databases.ts';
import { rotationBench } from '../rotate-secret/rotation-tests.ts';

const ADDRESSES = ['127.8.0.1', '127.8.0.2'];

/** ECS with a service of one running task for each address: its own, or that of a host which ECS does not tell. */
class Ecs extends ECSClient {
  readonly #onHosts: boolean;
  readonly #createdAt: Date;
  /** That run. */
  addresses = ADDRESSES;
  /** Of them, those of tasks from before the delivery. */
  old: string[] = [];

  constructor(onHosts = false, createdAt = new Date()) {
    super({ region: 'eu-central-1' });
    this.#onHosts = onHosts;
    this.#createdAt = createdAt;
  }

  override send = async (command: unknown) => {
    if (command instanceof ListTasksCommand)
      return { taskArns: command.input.desiredStatus === 'RUNNING' ? this.addresses : [] };
    if (command instanceof DescribeServicesCommand)
      return { services: [{ serviceName: 'web', status: 'ACTIVE', desiredCount: ADDRESSES.length }] };
    assert.ok(command instanceof DescribeTasksCommand);
    return {
      tasks: this.addresses.map((value) => ({
        taskArn: `task/${value}`,
        lastStatus: 'RUNNING',
        desiredStatus: 'RUNNING',
        createdAt: this.old.includes(value) ? new Date(0) : this.#createdAt,
        ...(this.#onHosts
          ? { containerInstanceArn: `container-instance/${value}` }
          : {
              attachments: [
                { type: 'ElasticNetworkInterface', details: [{ name: 'privateIPv4Address', value }] },
              ],
            }),
      })),
    };
  };
}

test('PostgreSQL: looks again and again, and what was not seen is not disproven', {
  skip: process.platform !== 'linux' && 'Only Linux has several addresses of loopback.',
}, async (t) => {
  const database = await postgresDatabase({
    kind: 'alternating-users',
    users: ['wa', 'wa_clone'],
    owner: 'wa',
  });
  t.after(() => database.stop());
  const bench = await rotationBench(t, database);
  const settings = {
    ...bench.settings,
    steadyTimeoutSeconds: 2,
    clusterArn: 'shop',
    services: [{ name: 'web' }],
  } as unknown as CredentialRotationSettings;
  /** Between two looks something happens, and no time passes. */
  const prove = (
    between: (look: number) => Promise<void>,
    ecs = new Ecs(),
    before: LoginsBefore = { services: { web: { tasks: 2, seen: 2 } }, addresses: [] },
  ) => {
    const context = {
      waitForCondition: async <State>(
        _name: string,
        check: (state: State) => Promise<State>,
        {
          initialState,
          waitStrategy,
        }: { initialState: State; waitStrategy: (state: State) => { shouldContinue: boolean } },
      ) => {
        let state = initialState;
        for (let look = 1; ; look += 1) {
          await between(look);
          state = await check(state);
          if (!waitStrategy(state).shouldContinue) return state;
        }
      },
    } as unknown as DurableContext;
    return proveLogins(
      context,
      'web logs in',
      {
        settings,
        ecs,
        secretsManager: bench.secretsManager.client,
        deliveredAt: 1,
        endBy: Number.POSITIVE_INFINITY,
      },
      {
        service: { name: 'web', clusterArn: 'shop' },
        isGiven: true,
        before,
        hasSeenTasks: false,
      },
    );
  };

  for (const onHosts of [false, true])
    await t.test(
      `two tasks whose sessions come by turns are both proven${onHosts ? ', each alone on its host' : ''}`,
      async () => {
        let close = () => {};
        let closed: Promise<void> = Promise.resolve();
        const proof = await prove(async (look) => {
          close();
          await closed;
          const from = ADDRESSES[look - 1];
          if (from === undefined) return;
          await new Promise<void>((opened) => {
            const until = () =>
              new Promise<void>((resolve) => {
                close = resolve;
              });
            closed = database.logIn(database.user, { from, until, opened });
          });
        }, new Ecs(onHosts));
        close();
        await closed;
        assert.deepEqual([proof.answer, proof.seen], ['proven', 2]);
      },
    );

  await t.test(
    'a task of an earlier run, which has kept its session since, is proven beside one that is still old',
    async () => {
      const [one = '', other = ''] = ADDRESSES;
      const ecs = new Ecs();
      ecs.old = [other];
      const { promise: end, resolve: close } = Promise.withResolvers<void>();
      let closed: Promise<void> = Promise.resolve();
      await new Promise<void>((opened) => {
        closed = database.logIn(database.user, { from: one, until: () => end, opened });
      });
      // A clock that stands in the same millisecond would tell nothing of which was first.
      await delay(5);
      const before = await loginsBefore(
        { step: (_: string, work: () => Promise<unknown>) => work() } as unknown as DurableContext,
        {
          settings,
          ecs,
          secretsManager: bench.secretsManager.client,
          deliveredAt: 1,
          endBy: Number.POSITIVE_INFINITY,
        },
        [{ name: 'web', clusterArn: 'shop' }],
      );
      // As if the old one had been seen, so that it says something that others are not.
      const proof = await prove(async () => {}, ecs, {
        ...before,
        services: { web: { tasks: 1, seen: 1 } },
      });
      close();
      await closed;
      assert.deepEqual([proof.answer, proof.seen], ['proven', 1]);
    },
  );

  await t.test('tasks that were seen in no look: nobody knows, and the roll stops there', async () => {
    const proof = await prove(async () => {});
    assert.deepEqual([proof.answer, proof.seen, proof.isMissing], ['unknown', 0, true]);
    assert.equal(stopsRoll(settings, proof), true);
  });

  await t.test(
    'connections that are used up in the middle of a roll: nobody knows, and the old one is kept',
    async () => {
      await database.query('ALTER ROLE rotator CONNECTION LIMIT 0');
      const proof = await prove(() => delay(200));
      await database.query('ALTER ROLE rotator CONNECTION LIMIT -1');
      assert.deepEqual([proof.answer, proof.isRead], ['unknown', false]);
      assert.match(
        proof.evidence,
        /could not be asked .* takes no login of rotator now .*All connections are taken/,
      );
      assert.equal(stopsRoll(settings, proof), false);
      const rolled = { service: 'web', outcome: 'rolled', how: 'forced', tasksReplaced: 2, proof } as const;
      assert.deepEqual(
        keptBecauseOf(settings, [rolled], false).map(({ service }) => service),
        ['web'],
      );
    },
  );

  await t.test('tasks that end themselves, and run at no look, are not taken for proven', async () => {
    const ecs = new Ecs();
    ecs.addresses = [];
    const proof = await prove(() => delay(200), ecs);
    assert.deepEqual([proof.answer, proof.tasks, proof.isMissing], ['unknown', 0, true]);
    assert.equal(stopsRoll({ ...settings, whenUnproven: 'retire' }, proof), true);
  });

  await t.test(
    'a database that could not be asked before the roll is asked again; what it shows later is no proof else',
    async () => {
      const before = (between: () => Promise<unknown>) =>
        loginsBefore(
          { step: (_: string, work: () => unknown) => work(), wait: between } as unknown as DurableContext,
          {
            settings,
            ecs: new Ecs(false, new Date(0)),
            secretsManager: bench.secretsManager.client,
            deliveredAt: Date.now(),
            endBy: Number.POSITIVE_INFINITY,
          },
          [{ name: 'web', clusterArn: 'shop' }],
        );
      await database.query('ALTER ROLE rotator CONNECTION LIMIT 0');
      const unread = await before(async () => {});
      const read = await before(() => database.query('ALTER ROLE rotator CONNECTION LIMIT -1'));
      assert.ok(read.mark && read.unread === undefined);
      assert.deepEqual(read.services, { web: { tasks: 2, seen: 0 } });
      // Sessions from the addresses of new tasks, which may be of tasks long gone that had them before.
      let close = () => {};
      const until = () =>
        new Promise<void>((resolve) => {
          const closeOther = close;
          close = () => {
            closeOther();
            resolve();
          };
        });
      const closed: Promise<void>[] = [];
      for (const from of ADDRESSES)
        await new Promise<void>((opened) => {
          closed.push(database.logIn(database.user, { from, until, opened }));
        });
      const proof = await prove(async () => {}, new Ecs(), unread);
      close();
      await Promise.all(closed);
      assert.equal(proof.answer, 'unknown');
      assert.match(proof.evidence, /could not be asked before the roll .*All connections are taken/);
      assert.equal(proof.isHarmless, false);
    },
  );
});
