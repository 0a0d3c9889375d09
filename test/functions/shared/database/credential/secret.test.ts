import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { RotationRefused, SecretInvalid } from '../../../../../functions/shared/database/contract/errors.ts';
import {
  checkBelongs,
  checkCopies,
  type DatabaseSecret,
  parseSecret,
  secretWith,
} from '../../../../../functions/shared/database/credential/secret.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:wa-db-AbCdEf';
const PASSWORD = 'not-to-be-seen-Aa1';

const FORMS: { what: string; value: object; read: Partial<DatabaseSecret> }[] = [
  {
    what: 'made by RDS for an instance',
    value: {
      engine: 'mysql',
      host: 'db.example.com',
      username: 'wa',
      password: PASSWORD,
      dbname: 'waweb',
      port: 3306,
      dbInstanceIdentifier: 'db',
    },
    read: { engine: 'mysql', host: 'db.example.com', port: 3306, dbname: 'waweb' },
  },
  {
    what: 'written in the console, with its port as text and an empty database name',
    value: {
      engine: 'postgres',
      host: 'db.example.com',
      username: 'wa',
      password: PASSWORD,
      dbname: '',
      port: '5432',
    },
    read: { engine: 'postgres', port: 5432 },
  },
  { what: 'managed by RDS', value: { username: 'admin', password: PASSWORD }, read: { username: 'admin' } },
  {
    what: 'for alternating users',
    value: { engine: 'aurora-postgresql', username: 'wa', password: PASSWORD, masterarn: `${ARN}-admin` },
    read: { engine: 'aurora-postgresql', masterarn: `${ARN}-admin` },
  },
];

for (const { what, value, read } of FORMS) {
  test(`a secret ${what} is read`, () => {
    const secret = parseSecret(JSON.stringify(value), ARN);
    for (const [name, expected] of Object.entries(read)) {
      assert.deepEqual(secret[name as keyof DatabaseSecret], expected, name);
    }
    assert.equal('dbname' in secret, 'dbname' in read);
  });
}

test('a new login keeps every other field, also those that are not ours', () => {
  const value = { username: 'a', password: 'b', engine: 'mysql', proxy: { port: 6033 }, list: [1, 2] };
  const written = secretWith(parseSecret(JSON.stringify(value), ARN), { username: 'c', password: 'd' });
  assert.deepEqual(JSON.parse(written), { ...value, username: 'c', password: 'd' });
});

const BROKEN: [string, string | undefined][] = [
  ['has no text', undefined],
  ['is the password itself', PASSWORD],
  ['is a list', JSON.stringify([PASSWORD])],
  ['has no user name', JSON.stringify({ password: PASSWORD })],
  ['has an empty password', JSON.stringify({ username: 'wa', password: '' })],
  [
    'has an engine that is not rotated here',
    JSON.stringify({ username: 'wa', password: PASSWORD, engine: 'oracle' }),
  ],
  ['has a wrong port', JSON.stringify({ username: 'wa', password: PASSWORD, port: `${PASSWORD}` })],
];

for (const [what, value] of BROKEN) {
  test(`a secret that ${what} is refused without showing its value`, () => {
    assert.throws(
      () => parseSecret(value, ARN),
      (error: unknown) => {
        assert.ok(error instanceof SecretInvalid);
        assert.match(error.message, /wa-db-AbCdEf/);
        assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), new RegExp(PASSWORD));
        return true;
      },
    );
  });
}

const database = { engine: 'aurora-mysql', host: 'db.example.com', port: 3306 } as const;
const login = { username: 'wa', password: PASSWORD, text: '{}' };

test('a secret of the configured database belongs to it, and so does one that names none', () => {
  checkBelongs({ ...login, host: 'DB.example.com', port: 3306, engine: 'mysql' }, ARN, database);
  checkBelongs(login, ARN, database);
});

const FOREIGN: [string, Partial<DatabaseSecret>][] = [
  ['host', { host: 'elsewhere.example.com' }],
  ['port', { port: 3307 }],
  ['engine', { engine: 'mariadb' }],
];

for (const [what, fields] of FOREIGN) {
  test(`a secret of another ${what} is refused`, () => {
    assert.throws(() => checkBelongs({ ...login, ...fields }, ARN, database), RotationRefused);
  });
}

test('a new login changes nothing else of the text, but fields that are said to hold the login', () => {
  const text = `{"port":"3306","big":12345678901234567890,"constructor":1.0,"username":"wa","password":"${PASSWORD}","url":"mysql://wa:${PASSWORD}@db"}`;
  const secret = parseSecret(text, ARN);
  const field = { key: 'url', template: 'mysql://{username}:{password}@db', encoding: 'url' } as const;
  const written = secretWith(secret, { username: 'wa_clone', password: 'a/b' }, [field]);
  assert.equal(
    written,
    '{"port":"3306","big":12345678901234567890,"constructor":1.0,"username":"wa_clone","password":"a/b","url":"mysql://wa_clone:a%2Fb@db"}',
  );
  checkCopies(secret, ARN, [field]);
});

test('a field that holds the password is named where nobody has said so, however deep and escaped it stands', () => {
  const password = 'p/a"ss\\word';
  for (const other of [password, `x:${encodeURIComponent(password)}@`, { deep: [`a ${password} b`] }]) {
    const secret = parseSecret(JSON.stringify({ username: 'wa', password, other }), ARN);
    assert.throws(
      () => checkCopies(secret, ARN),
      (error: unknown) =>
        error instanceof RotationRefused &&
        /"other"/.test(error.message) &&
        !error.message.includes(password),
    );
  }
});

test('a login that stands twice is refused by its name', () => {
  assert.throws(
    () => parseSecret('{"username":"a","password":"b","password":"c"}', ARN),
    /The field "password" of the secret .* stands there twice/,
  );
});
