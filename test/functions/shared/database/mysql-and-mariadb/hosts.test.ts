import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayMeet } from '../../../../../functions/shared/database/mysql-and-mariadb/hosts.ts';

test('tells hosts apart that no client comes from at once, and takes all others for such as may', () => {
  for (const [one, other, may] of [
    ['%', '10.9.%', true],
    ['10.%', '10.9.%', true],
    ['10.1.%', '10.9.%', false],
    ['10.%.5', '10.1.%', true],
    ['10.1.0._', '10.1.0.12', false],
    ['127.0.0.%', 'localhost', true],
    ['localhost', '127.0.0.1', true],
    ['localhost', '10.9.%', false],
    ['localhost', '::1', true],
    ['10.1.0.7', 'web.example.internal', true],
    ['%.example.internal', 'WEB.example.internal', true],
    ['%.example.internal', 'web.example.com', false],
    ['10.1.0.0/255.255.0.0', '10.9.%', true],
    ['', '10.9.%', true],
  ] as const) {
    assert.equal(mayMeet(one, other), may, `${one} and ${other}`);
    assert.equal(mayMeet(other, one), may, `${other} and ${one}`);
  }
});
