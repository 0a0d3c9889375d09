import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Agent, type Dispatcher, request } from 'undici';
import * as v from 'valibot';
import { parseOrThrow } from '../run/settings.ts';
import {
  UntrustedCertificateError,
  WebAppError,
  WebAppUnreachableError,
  WrongCredentialsError,
} from './errors.ts';
import { SINGLE_INSTANCE } from './nodes.ts';
import type { GcKind } from './notifications.ts';
import type { WebAppSettings } from './settings.ts';

/** WebApp's error codes that are acted on (Meta's table of error codes). */
export const WEB_APP_CODES = { accessDenied: 1005, notFound: 1006, internal: 1014 } as const;

const REQUEST_TIMEOUT_MS = 30_000;

const apiUser = v.object({ username: v.string(), password: v.string() });

const errorEnvelope = v.object({
  errors: v.pipe(
    v.array(
      v.object({
        code: v.number(),
        title: v.optional(v.string(), ''),
        details: v.optional(v.string(), ''),
      }),
    ),
    v.minLength(1),
  ),
});

const loginAnswer = v.object({ users: v.tuple([v.object({ token: v.string() })]) });

const gcStatus = v.object({
  status: v.string(),
  errors: v.optional(
    v.array(v.object({ code: v.optional(v.number()), details: v.optional(v.string(), '') })),
    [],
  ),
});
/** By node. */
const began = v.object({
  gc: v.union([
    v.pipe(
      gcStatus,
      v.transform(
        (answer): Record<string, v.InferOutput<typeof gcStatus>> => ({ [SINGLE_INSTANCE]: answer }),
      ),
    ),
    v.record(v.string(), gcStatus),
  ]),
});
const gcAnswers = {
  message: v.pipe(
    v.object({ services: v.object({ message: began }) }),
    v.transform(({ services }) => services.message.gc),
  ),
  media: v.pipe(
    v.object({ services: v.object({ media: began }) }),
    v.transform(({ services }) => services.media.gc),
  ),
};

const nodeHealth = v.pipe(
  v.object({ gateway_status: v.string() }),
  v.transform(({ gateway_status: status }) => status),
);
/** The status of each node. */
const healthAnswer = v.pipe(
  v.object({
    health: v.union([
      v.pipe(
        nodeHealth,
        v.transform((status): Record<string, string> => ({ [SINGLE_INSTANCE]: status })),
      ),
      v.record(v.string(), nodeHealth),
    ]),
  }),
  v.transform(({ health }) => health),
);

const secretsManager = new SecretsManagerClient({});

/** What WebApp answers to a request for garbage collection. */
export interface GcAnswer {
  began: string[];
  refused: { node: string; reason: string }[];
}

/** An API user's session with WebApp, whose token is held in memory only and never outlives {@link withWebApp}. */
export interface WebApp {
  /**
   * Asks for garbage collection. `began`: the nodes that began, each of which will notify: one unnamed
   * ({@link SINGLE_INSTANCE}), or, of messages, those of Multiconnect. `refused`: those that answered anything else than
   * "processing", and what. Both may be empty.
   */
  collectGarbage(kind: GcKind): Promise<GcAnswer>;
  /** Marks an inbound message as read, and with it the earlier ones of its conversation. */
  markRead(messageId: string): Promise<void>;
  /** The nodes that are there now: `host:container` each with Multiconnect. */
  nodes(): Promise<string[]>;
  /**
   * How many of the nodes are connected to WhatsApp's servers now. Not all are: with Multiconnect the CoreApps and the
   * primary master, else one.
   */
  connectedNodes(): Promise<number>;
}

/**
 * Logs in to WebApp, works, and logs out. A token that expires meanwhile is renewed once.
 * @throws WrongCredentialsError, UntrustedCertificateError, WebAppUnreachableError, WebAppError
 */
export async function withWebApp<T>(
  settings: WebAppSettings,
  work: (webApp: WebApp) => Promise<T>,
): Promise<T> {
  const { certificateAuthority: ca, serverName } = settings;
  const agent = new Agent({ connect: { ca, ...(serverName && { servername: serverName }) } });
  try {
    const session = new Session(settings, agent);
    try {
      return await work(session);
    } finally {
      await session.logout();
    }
  } finally {
    await agent.close();
  }
}

class Session implements WebApp {
  readonly #settings: WebAppSettings;
  readonly #agent: Agent;
  #token: Promise<string> | undefined;
  #renewed = false;

  constructor(settings: WebAppSettings, agent: Agent) {
    this.#settings = settings;
    this.#agent = agent;
  }

  async collectGarbage(kind: GcKind): Promise<GcAnswer> {
    const path = `/v1/services/${kind}/gc`;
    const gc = this.#parse(gcAnswers[kind], await this.#authorized('PUT', path), path);
    const nodes = Object.entries(gc);
    return {
      began: nodes.flatMap(([node, { status }]) => (status === 'processing' ? [node] : [])),
      refused: nodes.flatMap(([node, { status, errors }]) =>
        status === 'processing'
          ? []
          : [
              {
                node,
                reason: [
                  status,
                  ...errors.map(({ code, details }) => [code, details].filter(Boolean).join(' ')),
                ].join(': '),
              },
            ],
      ),
    };
  }

  async markRead(messageId: string): Promise<void> {
    await this.#authorized('PUT', `/v1/messages/${encodeURIComponent(messageId)}`, { status: 'read' });
  }

  async nodes(): Promise<string[]> {
    return Object.keys(await this.#statuses());
  }

  async connectedNodes(): Promise<number> {
    return Object.values(await this.#statuses()).filter((status) => status === 'connected').length;
  }

  /** Gives the token back. Without an effect on the work's outcome: a token that stays expires by itself. */
  async logout(): Promise<void> {
    const token = await this.#token?.catch(() => undefined);
    if (!token) return;
    await this.#send('POST', '/v1/users/logout', { authorization: `Bearer ${token}` }).catch(() => undefined);
  }

  /** Of each node. */
  async #statuses(): Promise<Record<string, string>> {
    const path = '/v1/health';
    return this.#parse(healthAnswer, await this.#authorized('GET', path), path);
  }

  async #authorized(method: Dispatcher.HttpMethod, path: string, body?: object): Promise<unknown> {
    this.#token ??= this.#login();
    const token = this.#token;
    const answer = await this.#send(method, path, { authorization: `Bearer ${await token}` }, body);
    if (!isRefusal(answer)) return this.#valueOf(answer, `${method} ${path}`);
    // Unless another request has renewed it meanwhile.
    if (this.#token === token && !this.#renewed) {
      this.#renewed = true;
      this.#token = this.#login();
    }
    const second = await this.#send(method, path, { authorization: `Bearer ${await this.#token}` }, body);
    if (isRefusal(second))
      throw new WrongCredentialsError(
        `WebApp at ${this.#settings.url} refused ${method} ${path} although its token was just renewed. Check the rights of the API user in ${this.#settings.secretArn}.`,
      );
    return this.#valueOf(second, `${method} ${path}`);
  }

  async #login(): Promise<string> {
    const { secretArn, url } = this.#settings;
    const { SecretString: secret } = await secretsManager.send(
      new GetSecretValueCommand({ SecretId: secretArn }),
    );
    const { username, password } = parseOrThrow(apiUser, parsedJson(secret), `The secret ${secretArn}`);
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const path = '/v1/users/login';
    const answer = await this.#send('POST', path, { authorization });
    if (isRefusal(answer))
      throw new WrongCredentialsError(
        `WebApp at ${url} refused the login of the API user in ${secretArn}. Put the right username and password in the secret. (An expired client refuses every login.)`,
      );
    return this.#parse(loginAnswer, this.#valueOf(answer, `POST ${path}`), path).users[0].token;
  }

  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    headers: Record<string, string>,
    body?: object,
  ): Promise<Answer> {
    const url = new URL(path, this.#settings.url);
    try {
      const response = await request(url, {
        method,
        dispatcher: this.#agent,
        headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
        body: body ? JSON.stringify(body) : null,
        headersTimeout: REQUEST_TIMEOUT_MS,
        bodyTimeout: REQUEST_TIMEOUT_MS,
      });
      return { status: response.statusCode, text: await response.body.text() };
    } catch (error) {
      throw connectionError(error, url.origin);
    }
  }

  #valueOf(answer: Answer, request: string): unknown {
    const error = errorOf(answer);
    if (error) throw new WebAppError(request, error.code, [error.title, error.details].join(' ').trim());
    if (answer.status === 404) throw new WebAppError(request, WEB_APP_CODES.notFound, 'HTTP status 404');
    if (answer.status >= 300)
      throw new WebAppUnreachableError(
        `What answered ${request} at ${this.#settings.url} is not WebApp: HTTP status ${answer.status} without WebApp's error. Check the load balancer before it.`,
      );
    return answer.text ? parsedJson(answer.text) : null;
  }

  #parse<Schema extends v.GenericSchema>(schema: Schema, value: unknown, path: string) {
    return parseOrThrow(schema, value, `WebApp's answer to ${path}`);
  }
}

interface Answer {
  status: number;
  text: string;
}

/** A wrong or expired token, a wrong password, missing rights: the client has one code for all of them. */
function isRefusal(answer: Answer): boolean {
  return answer.status === 401 || errorOf(answer)?.code === WEB_APP_CODES.accessDenied;
}

function errorOf(answer: Answer): { code: number; title: string; details: string } | undefined {
  const parsed = v.safeParse(errorEnvelope, parsedJson(answer.text));
  return parsed.success ? parsed.output.errors[0] : undefined;
}

function parsedJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

function connectionError(error: unknown, origin: string): Error {
  const code = String((error as NodeJS.ErrnoException).code ?? (error as Error).name);
  if (/CERT|SIGNATURE|SELF_SIGNED|ISSUER|ALTNAME/.test(code))
    return new UntrustedCertificateError(
      `WebApp at ${origin} shows a certificate that the configured certificate authority does not vouch for (${code}). If it was renewed, put the new one in the configuration and deploy; if not, somebody else answers.`,
    );
  return new WebAppUnreachableError(
    `WebApp at ${origin} could not be reached (${code}). Check that it runs and that the function's security group may reach it.`,
  );
}
