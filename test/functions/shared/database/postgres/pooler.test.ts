import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  RotationRefused,
  StatementRefused,
} from '../../../../../functions/shared/database/contract/errors.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { withPostgres } from '../../../../../functions/shared/database/postgres/session.ts';
import { credentialRotation, sizeReader } from '../../../../../functions/shared/database/registry.ts';
import { PackagesUnavailable } from '../../../../../rehearsal/databases/debian-packages.ts';
import { type Pgbouncer, startPgbouncer } from '../../../../../rehearsal/databases/pgbouncer.ts';
import { postgresDatabase } from '../../../rotate-secret/databases.ts';
import { knowingCurrent, rejected, secretOf } from '../helpers.ts';
import { as } from './sessions.ts';

const STRATEGY = { kind: 'alternating-users', users: ['wa', 'wa_clone'], owner: 'wa' } as const;

test('behind a pooler nothing is changed, and nothing of our sessions is left in those of others', async (t) => {
  const database = await postgresDatabase(STRATEGY);
  t.after(() => database.stop());
  const { address, rotator, user } = database;
  const current = secretOf(user);
  const pending = secretOf({ username: 'wa_clone', password: randomPassword() });
  for (const mode of ['transaction', 'session', 'statement'] as const) {
    let pooler: Pgbouncer;
    try {
      pooler = await startPgbouncer(address, mode, [rotator, user]);
    } catch (error) {
      if (!(error instanceof PackagesUnavailable) || process.env.CI) throw error;
      t.skip(error.message);
      return;
    }
    await t.test(`pgbouncer in ${mode} mode`, async () => {
      try {
        const rotation = knowingCurrent(await credentialRotation(pooler.address, STRATEGY));
        const request = { admin: rotator, current, pending, previous: async () => undefined };
        const sizes = await sizeReader(pooler.address);
        const idle = sizes.idleConnections(rotator, ['postgres'], 3600);
        if (mode === 'statement') {
          assert.match((await rejected(idle, StatementRefused)).message, /pooler in statement mode/);
        } else {
          assert.equal(await idle, 0);
          // What is refused leaves no transaction open.
          await rejected(
            withPostgres(pooler.address, rotator, async ({ query }) => {
              await rejected(query('SELECT 1 / 0'), StatementRefused);
              assert.deepEqual(await query('SHOW search_path'), [{ search_path: 'pg_catalog, pg_temp' }]);
              throw new RotationRefused('as a caller does');
            }),
            RotationRefused,
          );
          const [path, limit] = await as(
            pooler.address,
            rotator,
            'SHOW search_path',
            'SHOW statement_timeout',
          );
          assert.deepEqual(
            [path, limit],
            [[{ search_path: '"$user", public' }], [{ statement_timeout: '0' }]],
          );
        }
        const { message } = await rejected(rotation.preflight(rotator, current), RotationRefused);
        assert.match(message, /a pooler such as pgbouncer .* Configure the address of the server itself/);
        assert.equal((await rejected(rotation.set(request), RotationRefused)).message, message);
        const direct = await credentialRotation(address, STRATEGY);
        assert.equal(await direct.retained(rotator, current), false);
      } finally {
        await pooler.stop();
      }
    });
  }
});
