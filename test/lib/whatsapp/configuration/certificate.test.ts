import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { generate } from 'selfsigned';
import sample from '../../../../upkeep.config.ts';

import { mistakesOf } from './mistaken.ts';

describe('a certificate file', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'upkeep-certificates-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function mistakesWith(content: string): string[] {
    writeFileSync(join(folder, 'ca.pem'), content);
    const configuration = structuredClone(sample);
    for (const deployment of configuration.deployments) deployment.webApp.certificateAuthority = 'ca.pem';
    return mistakesOf({ ...configuration, deployments: configuration.deployments.slice(0, 1) }, folder);
  }

  const certificate = (validity: { from: string; to: string }, keySize = 2048) =>
    generate([{ name: 'commonName', value: 'webapp' }], {
      keySize,
      algorithm: 'sha256',
      notBeforeDate: new Date(validity.from),
      notAfterDate: new Date(validity.to),
    });
  const valid = { from: '2020-01-01', to: '2060-01-01' };

  it('with a valid certificate is taken, from the folder of the configuration', async () => {
    const { cert } = await certificate(valid);
    assert.deepEqual(mistakesWith(`Some words before it.\n${cert}\n`), []);
  });

  it('with a certificate that has ended is refused', async () => {
    const { cert } = await certificate({ from: '2020-01-01', to: '2021-02-03' });
    assert.deepEqual(mistakesWith(cert), [
      'deployments[0].webApp.certificateAuthority names "ca.pem", whose certificate ended on 2021-02-03; it must be valid.',
    ]);
  });

  it('with a private key in it is refused, so that no key is deployed', async () => {
    const { cert, private: key } = await certificate(valid);
    assert.deepEqual(mistakesWith(`${cert}\n${key}`), [
      'deployments[0].webApp.certificateAuthority names "ca.pem", which holds a private key; it must hold the certificate only, and no one else the key.',
    ]);
  });

  it('without a certificate, or with a broken one, is refused', () => {
    assert.match(String(mistakesWith('nothing')), /which holds no certificate; it must hold one/);
    assert.match(
      String(mistakesWith('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')),
      /whose certificate cannot be read; it must be an X\.509 certificate in PEM form/,
    );
  });

  it("that does not fit into a function's environment is refused", async () => {
    const { cert } = await certificate(valid);
    assert.match(
      String(mistakesWith(`${cert}\n${cert}\n${cert}\n${cert}`)),
      /which holds \d+ bytes of certificates; at most 3072 fit: leave only the one to trust\./,
    );
  });
});
