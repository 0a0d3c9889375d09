import assert from 'node:assert/strict';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import fc from 'fast-check';
import { contentOf } from '../../functions/callback-relay/content.ts';
import { readMeasurements } from '../../functions/log-cleanup/measurements.ts';
import { parseSecret } from '../../functions/shared/database/credential/secret.ts';
import {
  UntrustedCertificateError,
  WebAppError,
  WebAppUnreachableError,
  WrongCredentialsError,
} from '../../functions/shared/whatsapp/errors.ts';
import { parseGcCallback } from '../../functions/shared/whatsapp/notifications.ts';
import type { StartRunSettings } from '../../functions/start-run/contract.ts';
import { readRequest } from '../../functions/start-run/start-request.ts';
import { listen, stopListening } from '../../rehearsal/aws/listen.ts';
import { createCertificate } from '../../rehearsal/whatsapp/certificate.ts';

/** Throws anything at what reads from outside, and says what must hold whatever came. */
export interface Fuzzer {
  name: string;
  /** One call of it is one input. */
  property: fc.IAsyncProperty<unknown> | fc.IAsyncPropertyWithHooks<unknown>;
  close(): Promise<void>;
}

const LONGEST_TEXT = 1500;
const nothing = async () => {};

const odd = fc.oneof(
  fc.anything(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(null, '', -1, 1e300, 'constructor', '__proto__', '\u0000', '2099-01-01T00:00:00Z', '1'),
);

/** A value of which any part may be another than it should be. */
function broken<T extends Record<string, unknown>>(good: { [Key in keyof T]: fc.Arbitrary<T[Key]> }) {
  const shaken = Object.fromEntries(
    Object.entries(good).map(([key, arbitrary]) => [
      key,
      fc.oneof({ weight: 4, arbitrary: arbitrary as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: odd }),
    ]),
  );
  return fc.record(shaken, { requiredKeys: [] });
}

const NOW = new Date('2026-11-25T05:00:00Z');
const settings: StartRunSettings = {
  deployment: 'latam',
  timeZone: 'America/Sao_Paulo',
  window: { from: '01:00', to: '05:00' },
  ledgerPath: '/upkeep/latam/runs',
  jobs: {
    'message-gc': { aliasArn: '', timeLimitSeconds: 7200, longestSeconds: 8400, conflictsWith: [] },
  },
};

function events(): Fuzzer {
  const event = broken({
    job: fc.constant('message-gc'),
    deployment: fc.constant('latam'),
    scheduledFor: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    request: fc.string(),
    outsideWindow: fc.boolean(),
    options: fc.dictionary(fc.string(), fc.jsonValue()),
  });
  return {
    name: 'events of start-run',
    close: nothing,
    property: fc.asyncProperty(fc.oneof(event, fc.jsonValue()), async (value) => {
      // As Lambda gives it: from JSON.
      const text = safeJson(value);
      if (text === undefined) return;
      try {
        const request = readRequest(JSON.parse(text), settings, NOW, 'request');
        assert.equal(request.job, 'message-gc');
        assert.match(request.runId, /^latam-message-gc-(manual-[0-9a-f]{9}|\d{8}T\d{6}Z)$/);
        assert.ok(request.scheduledFor.getTime() <= NOW.getTime() + 30_000, 'it lies ahead');
        assert.ok(NOW.getTime() - request.scheduledFor.getTime() <= 25 * 3600_000, 'it is old');
      } catch (error) {
        isSentence(error, /^(The event for start-run|This start-run starts)/);
      }
    }),
  };
}

function callbacks(): Fuzzer {
  const gc = broken({
    status: fc.constantFrom('complete', 'failed'),
    node: fc.string(),
    messages_deleted: fc.oneof(fc.nat(), fc.double(), fc.integer()),
    items_deleted: fc.oneof(fc.nat(), fc.double()),
    errors: fc.array(broken({ code: fc.integer(), details: fc.string() })),
  });
  const service = fc.oneof(fc.dictionary(fc.constantFrom('message', 'media'), fc.record({ gc })), odd);
  const callback = fc.oneof(fc.record({ services: fc.array(service) }), fc.anything());
  return {
    name: 'callbacks',
    close: nothing,
    property: fc.asyncProperty(callback, async (value) => {
      const text = safeJson(value);
      if (text === undefined) return;
      for (const { deleted, node, errors, status } of parseGcCallback(JSON.parse(text)).notifications) {
        if (deleted !== undefined) assert.ok(Number.isSafeInteger(deleted) && deleted >= 0, String(deleted));
        assert.ok(node.length <= 500 && errors.length <= 10);
        assert.ok(errors.every((error) => error.length < 600));
        assert.ok(status === 'complete' || status === 'failed');
      }
      const content = await contentOf(Buffer.from(text));
      const isObject = /^\s*\{/.test(text);
      assert.equal(content.kind, isObject ? 'callback' : 'none');
      if (content.kind === 'callback') assert.equal(content.mustComeOnce, /"gc":/.test(text));
    }),
  };
}

function bodies(): Fuzzer {
  const coding = fc.constantFrom('', 'gzip', 'br', 'deflate', 'zstd', 'identity', 'gzip, br', 'banana');
  return {
    name: "bodies of the relay's requests",
    close: nothing,
    property: fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), coding, async (bytes, encoding) => {
      const content = await contentOf(Buffer.from(bytes), encoding);
      if (content.kind === 'callback') assert.equal(typeof JSON.parse(content.detail), 'object');
    }),
  };
}

/** WebApp's answers over TLS, of any status and text. */
async function answers(): Promise<Fuzzer> {
  const { certificate, key } = await createCertificate('localhost');
  let next = { status: 200, text: '' };
  let loggedIn = false;
  const webApp = createHttps({ cert: certificate, key }, (request, response) => {
    request.resume();
    const isLogin = request.url?.endsWith('/login');
    const { status, text } =
      isLogin && loggedIn ? { status: 200, text: '{"users":[{"token":"abc"}]}' } : next;
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  });
  const secrets = createHttp((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(JSON.stringify({ SecretString: '{"username":"upkeep","password":"Very-Secret-17"}' }));
  });
  const [port, secretsPort] = await Promise.all([listen(webApp, 0), listen(secrets, 0)]);
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${secretsPort}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
  });
  const { withWebApp } = await import('../../functions/shared/whatsapp/web-app.ts');
  const processing = broken({ status: fc.string() });
  const gc = fc.oneof(processing, fc.dictionary(fc.string(), processing), odd);
  const good = fc.record({ services: broken({ message: fc.record({ gc }) }) });
  const failure = fc.record({
    errors: fc.oneof(
      odd,
      fc.array(broken({ code: fc.integer(), title: fc.string(), details: fc.string({ maxLength: 5000 }) })),
    ),
  });
  const text = fc.oneof(
    fc.oneof(good, failure, fc.record({ users: odd }), fc.jsonValue()).map((value) => safeJson(value) ?? ''),
    fc.string(),
    fc.constant('<html>502 Bad Gateway</html>'),
  );
  const status = fc.oneof(
    fc.constantFrom(200, 201, 302, 400, 401, 404, 500, 503),
    fc.integer({ min: 200, max: 599 }),
  );
  return {
    name: "WebApp's answers",
    async close() {
      await Promise.all([stopListening(webApp), stopListening(secrets)]);
    },
    property: fc.asyncProperty(status, text, fc.boolean(), async (code, body, login) => {
      // These have no body, whatever is sent.
      next = { status: code, text: code === 204 || code === 304 ? '' : body };
      loggedIn = login;
      try {
        const answer = await withWebApp(
          { url: `https://localhost:${port}`, certificateAuthority: certificate, secretArn: 'arn:x' },
          (session) => session.collectGarbage('message'),
        );
        for (const { reason } of answer.refused)
          assert.ok(reason.length <= 500, `${reason.length} characters`);
      } catch (error) {
        const known = [WebAppError, WebAppUnreachableError, WrongCredentialsError, UntrustedCertificateError];
        assert.ok(
          known.some((kind) => error instanceof kind),
          `${(error as Error).name}: ${(error as Error).message}`,
        );
        isSentence(error, /./);
        assert.ok(!(error as Error).message.includes('Very-Secret-17'));
      }
    }),
  };
}

function secrets(): Fuzzer {
  const password = fc.string({ minLength: 12, maxLength: 40 });
  const secret = broken({
    username: fc.string(),
    password,
    host: fc.string(),
    port: fc.oneof(fc.integer(), fc.string()),
    engine: fc.string(),
  });
  return {
    name: "secrets' JSON",
    close: nothing,
    property: fc.asyncProperty(fc.oneof(secret, fc.jsonValue(), fc.string()), async (value) => {
      const text = typeof value === 'string' ? value : safeJson(value);
      if (text === undefined) return;
      try {
        const read = parseSecret(text, 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:x-AbCdEf');
        assert.equal(typeof read.username, 'string');
        assert.equal(typeof read.password, 'string');
      } catch (error) {
        isSentence(error, /arn:aws:secretsmanager/);
        const hidden =
          typeof value === 'object' && value !== null && 'password' in value ? value.password : '';
        if (typeof hidden === 'string' && hidden.length >= 12)
          assert.ok(!(error as Error).message.includes(hidden), 'the password is in the text');
      }
    }),
  };
}

function containerOutput(): Fuzzer {
  const word = fc.oneof(
    fc.integer().map(String),
    fc.double().map(String),
    fc.string(),
    fc.constantFrom('-', '0'),
  );
  const line = fc
    .tuple(
      fc.constantFrom('MARK', 'MARK', 'noise'),
      fc.constantFrom('before', 'after', 'never'),
      fc.constantFrom('space', 'blocks', 'live', 'archive', 'oversized', 'archived', 'measured'),
      fc.array(word, { maxLength: 6 }),
    )
    .map(([first, when, kind, words]) => [first, when, kind, ...words].join(' '));
  return {
    name: "containers' output",
    close: nothing,
    property: fc.asyncProperty(fc.array(fc.oneof(line, fc.string())), async (lines) => {
      const found = readMeasurements(
        [...lines, 'MARK before measured', 'MARK after measured'].join('\n'),
        'MARK',
      );
      for (const number of numbersIn(found))
        assert.ok(Number.isFinite(number) && number >= 0, `${number} in ${JSON.stringify(found)}`);
    }),
  };
}

export async function fuzzers(): Promise<Fuzzer[]> {
  return [events(), callbacks(), bodies(), secrets(), containerOutput(), await answers()];
}

function isSentence(error: unknown, beginning: RegExp): void {
  assert.ok(error instanceof Error);
  if (error instanceof assert.AssertionError || error instanceof TypeError || error instanceof RangeError)
    throw error;
  assert.match(error.message, beginning);
  assert.ok(error.message.length <= LONGEST_TEXT, `${error.message.length} characters`);
}

function safeJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(numbersIn);
}
