import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  contentOf,
  whyAmbiguous,
} from '../../../../../functions/shared/database/credential/copy-template.ts';
import { randomPassword } from '../../../../../functions/shared/database/credential/password.ts';
import { scramVerifier } from '../../../../../functions/shared/database/postgres/scram.ts';
import { POSTGRES_15, postgresDatabase } from '../../../rotate-secret/databases.ts';

const run = promisify(execFile);
/** Printable ASCII, in which everything means something to some reader. */
const ALPHABET = Array.from({ length: 94 }, (_, place) => String.fromCharCode(33 + place)).join('');
const PASSWORDS = Array.from({ length: 12 }, () => randomPassword({ alphabet: ALPHABET }));
const USERNAME = "o'd:d @us\\er";

test('a copy is read by libpq as what it was made of: a URL, a password file, a connection string', {
  skip: POSTGRES_15 === undefined && 'There is no psql: install postgresql-15.',
}, async (t) => {
  const database = await postgresDatabase({ kind: 'single-password', user: 'wa' });
  t.after(() => database.stop());
  const folder = await mkdtemp(join(tmpdir(), 'copies-'));
  t.after(() => rm(folder, { recursive: true }));
  const { port } = database.address;
  const psql = (connection: string, environment: Record<string, string> = {}) =>
    run(join(POSTGRES_15 ?? '', 'psql'), ['--no-psqlrc', '-At', '-c', 'SELECT session_user', connection], {
      env: { HOME: folder, ...environment },
    });
  await database.query(`CREATE ROLE "${USERNAME}" LOGIN`);
  for (const password of PASSWORDS) {
    await database.query(`ALTER ROLE "${USERNAME}" PASSWORD '${scramVerifier(password)}'`);
    const login = { username: USERNAME, password };
    const of = (encoding: 'url' | 'dsn' | 'pgpass', template: string) =>
      contentOf({ encoding, template }, login);
    const url = of('url', `postgresql://{username}:{password}@localhost:${port}/postgres`);
    const parsed = new URL(url);
    assert.equal(decodeURIComponent(parsed.password), password);
    const file = join(folder, 'pgpass');
    await writeFile(file, `${of('pgpass', `localhost:${port}:*:{username}:{password}`)}\n`);
    await chmod(file, 0o600);
    const where = `host=localhost port=${port} dbname=postgres`;
    for (const { stdout } of [
      await psql(url),
      await psql(of('dsn', `${where} user={username} password={password}`)),
      await psql(of('dsn', `${where} password='{password}' user='{username}'`)),
      await psql(contentOf({ encoding: 'dsn', template: `${where} user={username}` }, login), {
        PGPASSFILE: file,
      }),
    ])
      assert.equal(stdout.trim(), USERNAME);
  }
});

test('a copy is read by a shell as what it was made of', async () => {
  for (const password of PASSWORDS) {
    const text = contentOf(
      { encoding: 'env', template: 'PASSWORD={password}\nUSERNAME={username}' },
      { username: USERNAME, password },
    );
    const { stdout } = await run('/bin/sh', ['-c', `${text}\nprintf '%s\\n%s' "$PASSWORD" "$USERNAME"`]);
    assert.equal(stdout, `${password}\n${USERNAME}`);
  }
});

test('a template around a password with characters of a meaning must say how it is read', () => {
  const template = 'mysql://{username}:{password}@db/';
  assert.equal(whyAmbiguous({ template }, {}), undefined);
  assert.equal(whyAmbiguous({}, { alphabet: ALPHABET }), undefined);
  assert.equal(whyAmbiguous({ template, encoding: 'raw' }, { alphabet: ALPHABET }), undefined);
  assert.equal(whyAmbiguous({ template }, { alphabet: 'abc/', exclude: '/' }), undefined);
  assert.match(whyAmbiguous({ template }, { alphabet: 'abc/:' }) ?? '', /any of \/: between other text/);
});
