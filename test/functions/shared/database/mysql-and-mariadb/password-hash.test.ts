import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isHashOf,
  nativePasswordHash,
  sha256Crypt,
} from '../../../../../functions/shared/database/mysql-and-mariadb/password-hash.ts';

// As `openssl passwd -5 -salt SALT PASSWORD` gives them.
const CRYPT_EXAMPLES = [
  ['saltstring', 'Hello world!', '5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  ['toolongsaltstrin', 'This is just a test', 'Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5'],
  [
    'roundstoolow',
    'a long password that has more than thirty-two bytes of text in it',
    '5damx320JFKRmfJ6hQFgyX9Vd0ZsQp.YOBnJoG39WI8',
  ],
] as const;

for (const [salt, password, digest] of CRYPT_EXAMPLES) {
  test(`the SHA-256 crypt digest of "${password}" is that of another implementation`, () => {
    assert.equal(sha256Crypt(password, salt, 5000), digest);
  });
}

test('the native hash is that of the function PASSWORD', () => {
  // From MySQL 5.7's manual, "Password Hashing in MySQL".
  assert.equal(nativePasswordHash('mypass'), '*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4');
});

const HASHES = [
  ['mysql_native_password', '*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4', 'mypass'],
  ['sha256_password', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5', 'Hello world!'],
] as const;

for (const [plugin, hash, password] of HASHES) {
  test(`a hash of ${plugin} is known as that of its password and of no other`, () => {
    assert.equal(isHashOf(password, hash), true);
    assert.equal(isHashOf(`${password}x`, hash), false);
  });
}

test('a hash of an unknown kind is not judged', () => {
  assert.equal(isHashOf('mypass', '{SASL}somewhere'), undefined);
});
