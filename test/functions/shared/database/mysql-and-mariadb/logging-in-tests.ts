import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { DatabaseSecret } from '../../../../../functions/shared/database/credential/secret.ts';
import type { TestDatabase } from '../../../rotate-secret/databases.ts';
import type { knowingCurrent } from '../helpers.ts';
import { beginLogin } from './unfinished-login.ts';

/** The same promise, on MySQL and on MariaDB. */
export async function testLoggingIn(
  t: TestContext,
  {
    database: { address, query, rotator },
    rotation,
    user,
  }: {
    database: TestDatabase;
    rotation: ReturnType<typeof knowingCurrent>;
    user: () => Promise<DatabaseSecret>;
  },
): Promise<void> {
  await t.test('a connection that is only logging in is no session', async () => {
    const { username } = await user();
    await query("GRANT PROCESS ON *.* TO rotator@'%'");
    const end = await beginLogin(address.port, username);
    const commands = await query(
      "SELECT COMMAND AS command FROM information_schema.PROCESSLIST WHERE USER IN (?, 'unauthenticated user')",
      [username],
    );
    assert.deepEqual(commands, [{ command: 'Connect' }]);
    assert.equal(await rotation.sessions(rotator, username), 0);
    const { from } = await rotation.logins(rotator, { usernames: [username], addresses: [] });
    end();
    assert.deepEqual(from, []);
  });
}
