import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { signatureFault } from '../../../../rehearsal/aws/access/signature.ts';

/** AWS's published test suite for Signature Version 4. */
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const NOW = Date.parse('2015-08-30T12:36:00Z');

function signed(path: string, signature: string, method = 'GET') {
  return {
    method,
    url: new URL(path, 'https://example.amazonaws.com'),
    headers: {
      host: 'example.amazonaws.com',
      'x-amz-date': '20150830T123600Z',
      authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
    },
    body: new Uint8Array(),
  };
}

describe('a signature of AWS, version 4', () => {
  for (const [name, method, path, signature] of [
    ['get-vanilla', 'GET', '/', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
    ['post-vanilla', 'POST', '/', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
    [
      'get-vanilla-query-order-key-case',
      'GET',
      '/?Param2=value2&Param1=value1',
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
  ] as const) {
    it(`is judged as in AWS's test suite: ${name}`, () => {
      const request = signed(path, signature, method);
      assert.equal(signatureFault(request, SECRET, NOW), undefined);
      assert.match(signatureFault(request, `${SECRET}x`, NOW) ?? '', /does not match/);
      const other = { ...request, url: new URL('/other', request.url) };
      assert.match(signatureFault(other, SECRET, NOW) ?? '', /does not match/);
      assert.match(signatureFault(request, SECRET, NOW + 6 * 60_000) ?? '', /^Signature expired/);
      assert.match(signatureFault(request, SECRET, NOW - 6 * 60_000) ?? '', /^Signature not yet current/);
    });
  }
});
