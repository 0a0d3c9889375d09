import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Connection, connectTo } from '../../../../functions/shared/whatsapp/connection.ts';
import {
  UntrustedCertificateError,
  WebAppUnreachableError,
} from '../../../../functions/shared/whatsapp/errors.ts';
import type { WebAppSettings } from '../../../../functions/shared/whatsapp/settings.ts';
import { listen, stopListening } from '../../../../rehearsal/aws/listen.ts';
import { type Certificate, createCertificate } from '../../../../rehearsal/whatsapp/certificate.ts';

const HOST = 'webapp.internal';
const DAY = 24 * 3600 * 1000;

/** A server that shows a certificate, and a connection that trusts what is configured. */
async function between(
  t: TestContext,
  shown: Certificate,
  configured: Pick<WebAppSettings, 'certificateAuthority' | 'serverName'>,
  answer: RequestListener = (_request, response) => {
    response.end('{}');
  },
): Promise<Connection> {
  const server = createServer({ cert: shown.certificate, key: shown.key }, answer);
  const port = await listen(server, 0);
  const connection = connectTo(
    { url: `https://127.0.0.1:${port}`, secretArn: '', ...configured },
    { idleMs: 300, totalMs: 500 },
  );
  t.after(async () => {
    connection.close();
    await stopListening(server);
  });
  return connection;
}

function refusalOf(connection: Connection, path = '/v1/health'): Promise<Error> {
  return connection.send('GET', path, {}).then(
    () => assert.fail('it was trusted'),
    (error: Error) => error,
  );
}

const fingerprint = ({ certificate }: Certificate) => new X509Certificate(certificate).fingerprint256;

test('what is trusted is told: its fingerprint and its end', async (t) => {
  const certificate = await createCertificate(HOST, { validTo: new Date(Date.now() + 10 * DAY) });
  const ports: unknown[] = [];
  const trusted = { certificateAuthority: certificate.certificate, serverName: HOST };
  const connection = await between(t, certificate, trusted, (request, response) => {
    ports.push(request.socket.remotePort);
    response.end('{}');
  });
  assert.equal(connection.certificate(), undefined);
  assert.deepEqual(await connection.send('GET', '/', {}), { status: 200, text: '{}' });
  await connection.send('PUT', '/', {}, {});
  assert.equal(new Set(ports).size, 1, 'the second request goes over the same connection');
  const seen = connection.certificate();
  assert.equal(seen?.fingerprint, fingerprint(certificate));
  assert.ok(Math.abs(Date.parse(seen?.validTo ?? '') - Date.now() - 10 * DAY) < DAY);
});

test('each cause for which a certificate is refused has its own advice, with what was seen', async (t) => {
  const pinned = await createCertificate(HOST);
  const expired = await createCertificate(HOST, { validTo: new Date(Date.now() - 3 * DAY) });
  const renewed = await createCertificate(HOST, { renews: pinned, validTo: new Date(Date.now() + 90 * DAY) });
  const another = await createCertificate(HOST);
  const trusting = (certificateAuthority: string) => ({ certificateAuthority, serverName: HOST });
  const cases: { shown: Certificate; configured: Parameters<typeof between>[2]; advice: RegExp }[] = [
    {
      shown: pinned,
      configured: { certificateAuthority: pinned.certificate, serverName: 'other.internal' },
      advice:
        /for DNS:webapp\.internal, and not for other\.internal\..* set serverName to a name that it is for/,
    },
    {
      shown: expired,
      configured: trusting(expired.certificate),
      advice: /past its end\..* Renew it in WebApp, then put the new one/,
    },
    {
      shown: renewed,
      configured: trusting(pinned.certificate),
      advice: /renewed with the same key as the configured one\..* Put it in certificateAuthority/,
    },
    {
      shown: another,
      configured: trusting(pinned.certificate),
      advice: new RegExp(`not the configured one.*Configured: ${fingerprint(pinned)}.*somebody else answers`),
    },
  ];
  for (const { shown, configured, advice } of cases) {
    const error = await refusalOf(await between(t, shown, configured));
    assert.ok(error instanceof UntrustedCertificateError, error.message);
    assert.match(error.message, advice);
    assert.ok(error.message.includes(fingerprint(shown)), error.message);
    const end = new X509Certificate(shown.certificate).validToDate.toISOString().slice(0, 10);
    assert.ok(error.message.includes(`ends on ${end}`), error.message);
  }
});

test('what is trusted is told although no answer comes', async (t) => {
  const certificate = await createCertificate(HOST);
  const trusted = { certificateAuthority: certificate.certificate, serverName: HOST };
  const connection = await between(t, certificate, trusted, () => {});
  await assert.rejects(connection.send('GET', '/', {}), WebAppUnreachableError);
  assert.equal(connection.certificate()?.fingerprint, fingerprint(certificate));
});

test('nothing is sent to who shows a certificate that is not trusted', async (t) => {
  const requests: unknown[] = [];
  const connection = await between(
    t,
    await createCertificate(HOST),
    { certificateAuthority: (await createCertificate(HOST)).certificate, serverName: HOST },
    (request, response) => {
      requests.push(request.url);
      response.end();
    },
  );
  await refusalOf(connection);
  assert.deepEqual(requests, []);
});

test('an answer without an end, in size or in time, is given up', async (t) => {
  const certificate = await createCertificate(HOST);
  const trusted = { certificateAuthority: certificate.certificate, serverName: HOST };
  let sent = 0;
  const endless = await between(t, certificate, trusted, async (request, response) => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    while (!request.destroyed && !response.destroyed && sent < 400 * 1024 * 1024) {
      sent += chunk.length;
      if (!response.write(chunk))
        await Promise.race([new Promise((resolve) => response.once('drain', resolve)), setTimeout(50)]);
    }
    response.end();
  });
  const large = await refusalOf(endless);
  assert.ok(large instanceof WebAppUnreachableError);
  assert.match(large.message, /is not WebApp: its answer has more than 1048576 bytes/);
  assert.ok(sent < 50 * 1024 * 1024, `${sent} bytes`);

  const dripping = await between(t, certificate, trusted, async (_request, response) => {
    while (!response.destroyed) {
      response.write(' ');
      await setTimeout(50);
    }
  });
  const drip = await refusalOf(dripping);
  assert.ok(drip instanceof WebAppUnreachableError);
  assert.match(drip.message, /did not finish its answer in time/);

  const silent = await between(t, certificate, trusted, () => {});
  assert.ok((await refusalOf(silent)) instanceof WebAppUnreachableError);
});

test('who is not there at all is told as not reachable, with the code', async (t) => {
  const certificate = await createCertificate(HOST);
  const connection = await between(t, certificate, {
    certificateAuthority: certificate.certificate,
    serverName: HOST,
  });
  connection.close();
  const gone = connectTo({
    url: 'https://127.0.0.1:1',
    secretArn: '',
    certificateAuthority: certificate.certificate,
  });
  t.after(() => gone.close());
  assert.match((await refusalOf(gone)).message, /could not be reached \(ECONNREFUSED\)/);
});
