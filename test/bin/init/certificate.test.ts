import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { shownCertificate } from '../../../bin/init/certificate.ts';
import { named, serve } from './served-certificate.ts';

test('shows the certificate of a server that nobody has vouched for, with its name where that is another', async () => {
  const own = await named('webapp.internal');
  await serve(own, async (url) => {
    const shown = await shownCertificate(url);
    assert.ok(shown);
    const { fingerprint256, raw } = new X509Certificate(own.cert);
    assert.equal(shown.fingerprint, fingerprint256);
    assert.deepEqual(new X509Certificate(shown.pem).raw, raw);
    assert.deepEqual([shown.subject, shown.serverName], ['webapp.internal', 'webapp.internal']);
  });
  await serve(await named('localhost'), async (url) =>
    assert.equal((await shownCertificate(url))?.serverName, undefined),
  );
});

test('shows nothing of a server that keeps its authority to itself, and of one that is not reached', async () => {
  const authority = await named('Authority');
  await serve(await named('webapp.internal', { key: authority.private, cert: authority.cert }), async (url) =>
    assert.equal(await shownCertificate(url), undefined),
  );
  assert.equal(await shownCertificate('https://localhost:1'), undefined);
});
