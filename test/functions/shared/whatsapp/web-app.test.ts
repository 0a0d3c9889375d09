import assert from 'node:assert/strict';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { after, before, describe, it } from 'node:test';
import {
  WebAppError,
  WebAppUnreachableError,
  WrongCredentialsError,
} from '../../../../functions/shared/whatsapp/errors.ts';
import type { GcAnswer, WebApp } from '../../../../functions/shared/whatsapp/web-app.ts';
import { listen, stopListening } from '../../../../rehearsal/aws/listen.ts';
import { createCertificate } from '../../../../rehearsal/whatsapp/certificate.ts';

const { certificate, key } = await createCertificate('localhost');
const LOGIN = '{"users":[{"token":"abc"}]}';
let login = LOGIN;
let answer = { status: 200, text: '' };
const webApp = createHttps({ cert: certificate, key }, (request, response) => {
  request.resume();
  const isLogin = request.url?.endsWith('/login');
  response.writeHead(isLogin ? 200 : answer.status).end(isLogin ? login : answer.text);
});
const secrets = createHttp((request, response) => {
  request.resume();
  response.setHeader('content-type', 'application/x-amz-json-1.1');
  response.end(JSON.stringify({ SecretString: '{"username":"upkeep","password":"Very-Secret-17"}' }));
});
let ask: <T>(work: (session: WebApp) => Promise<T>) => Promise<T>;
let collectGarbage: () => Promise<GcAnswer>;

before(async () => {
  const [port, secretsPort] = await Promise.all([listen(webApp, 0), listen(secrets, 0)]);
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${secretsPort}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
  });
  const { withWebApp } = await import('../../../../functions/shared/whatsapp/web-app.ts');
  const settings = {
    url: `https://localhost:${port}`,
    certificateAuthority: certificate,
    secretArn: 'arn:x',
  };
  ask = (work) => withWebApp(settings, work);
  collectGarbage = () => ask((session) => session.collectGarbage('message'));
});
after(() => Promise.all([stopListening(webApp), stopListening(secrets)]));

const error = (code: number, title: string, details = '') =>
  JSON.stringify({ errors: [{ code, title, details }] });

describe("WebApp's answer to a request for garbage collection", () => {
  // What is not WebApp's own word is tried again like a WebApp that cannot be reached; its words say what to look at.
  for (const { what, status = 200, text, kind, says } of [
    {
      what: 'that is HTML',
      text: '<html>Welcome</html>',
      kind: WebAppUnreachableError,
      says: /^What answered PUT \S+ at \S+ is not WebApp: its answer is no JSON\. Check the load balancer/,
    },
    {
      what: 'with nothing in it',
      text: '',
      kind: WebAppUnreachableError,
      says: /is not WebApp: its answer to \S+gc .*Check the load balancer/,
    },
    {
      what: 'of another form',
      text: '{"services":{"message":{"gc":7}}}',
      kind: WebAppUnreachableError,
      says: /is not WebApp: its answer to \S+gc .*Check the load balancer/,
    },
    {
      what: 'that leads elsewhere',
      status: 302,
      text: '',
      kind: WebAppUnreachableError,
      says: /is not WebApp: HTTP status 302 without WebApp's error/,
    },
    {
      what: "of a load balancer's own",
      status: 502,
      text: '<html>Bad Gateway</html>',
      kind: WebAppUnreachableError,
      says: /is not WebApp: HTTP status 502 without WebApp's error/,
    },
    {
      what: 'whose words are megabytes',
      status: 500,
      text: error(1014, 'Internal error', 'x'.repeat(900_000)),
      kind: WebAppError,
      says: /^.{1,700}…\)?\.?$/s,
    },
    {
      what: 'that says the same in title and details',
      status: 400,
      text: error(1009, 'Parameter value is not valid', 'Parameter value is not valid'),
      kind: WebAppError,
      says: /^(?!.*not valid.*not valid).*1009.*Parameter value is not valid/,
    },
    {
      what: 'that it may not',
      status: 401,
      text: error(1005, 'Access denied'),
      kind: WrongCredentialsError,
      says: /although its token was just renewed\. Check the rights of the API user in arn:x/,
    },
  ])
    it(`${what} is told as what it is`, async () => {
      login = LOGIN;
      answer = { status, text };
      await assert.rejects(collectGarbage(), (thrown) => {
        assert.ok(thrown instanceof kind, String(thrown));
        assert.match(thrown.message, says);
        assert.ok(thrown.message.length < 800);
        return true;
      });
    });

  it('tells the nodes that began from those that refuse, and says why', async () => {
    login = LOGIN;
    const text = JSON.stringify({
      services: {
        message: {
          gc: {
            'core:1': { status: 'processing' },
            'core:2': { status: 'failed', errors: [{ code: 1014, details: 'busy' }] },
          },
        },
      },
    });
    answer = { status: 200, text };
    assert.deepEqual(await collectGarbage(), {
      began: ['core:1'],
      refused: [{ node: 'core:2', reason: 'failed: 1014 busy' }],
    });
  });

  it('reads each node by itself: an odd answer of one does not hide that another began, and what it says is cut', async () => {
    login = LOGIN;
    const gc = {
      'core:1': { status: 'processing' },
      'core:2': { status: 'failed', errors: [{ code: '1014' }, 'disk full'] },
      'core:3': { errors: [{ code: 1011 }] },
      'core:4': null,
      'core:5': { status: 'x'.repeat(900_000) },
    };
    answer = { status: 200, text: JSON.stringify({ services: { message: { gc } } }) };
    const { began, refused } = await collectGarbage();
    assert.deepEqual(began, ['core:1']);
    assert.deepEqual(
      refused.map(({ node, reason }) => `${node} ${reason.length > 80 ? reason.length : reason}`),
      [
        'core:2 failed: 1014: disk full',
        'core:3 an answer of another form',
        'core:4 an answer of another form',
        'core:5 500',
      ],
    );
  });

  it('reads the health of each node by itself', async () => {
    login = LOGIN;
    const health = { 'core:1': { gateway_status: 'connected' }, 'core:2': { errors: [{ code: 1011 }] } };
    answer = { status: 200, text: JSON.stringify({ health }) };
    assert.deepEqual(await ask((session) => session.nodes()), ['core:1', 'core:2']);
    assert.equal(await ask((session) => session.connectedNodes()), 1);
    for (const none of [{ errors: [{ code: 1011 }] }, { 'core:1': { errors: [] } }, {}, [], 7]) {
      answer = { status: 200, text: JSON.stringify({ health: none }) };
      await assert.rejects(
        ask((session) => session.nodes()),
        /is not WebApp/,
      );
    }
  });

  for (const token of ['a\nb', 'ä', ''])
    it(`is not asked for with the token ${JSON.stringify(token)}, which no header can bear`, async () => {
      login = JSON.stringify({ users: [{ token }] });
      await assert.rejects(
        collectGarbage(),
        /is not WebApp: the token that it gave has characters that no HTTP header can bear\. Check the load balancer or proxy/,
      );
    });
});
