import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RotationRefused } from '../../../../../functions/shared/database/contract/errors.ts';
import { scramVerifier } from '../../../../../functions/shared/database/postgres/scram.ts';

test("the verifier has the keys of RFC 7677's example", () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  assert.equal(
    scramVerifier('pencil', { salt }),
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

test('each verifier has a salt of its own', () => {
  assert.notEqual(scramVerifier('pencil'), scramVerifier('pencil'));
});

test('a password that would have to be normalized first is refused, naming the character alone', () => {
  assert.throws(
    () => scramVerifier('secret-ⅸ'),
    (error: unknown) =>
      error instanceof RotationRefused && /U\+2178/.test(error.message) && !error.message.includes('secret'),
  );
});

test('more iterations than a client does in a second are refused', () => {
  assert.throws(
    () => scramVerifier('pencil', { iterations: 1_000_001 }),
    /scram_iterations is 1000001.*Nothing was changed/,
  );
});
