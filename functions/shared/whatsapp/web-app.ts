import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { namingErrors } from '../run/naming-errors.ts';
import { REQUEST_LIMITS } from '../run/request-limits.ts';
import { readSecretValue } from '../run/secret-value.ts';
import { parseOrThrow } from '../run/settings.ts';
import type { SeenCertificate } from './certificate.ts';
import { type Answer, type Connection, connectTo, type Method } from './connection.ts';
import { WebAppError, WebAppUnreachableError, WrongCredentialsError } from './errors.ts';
import { SINGLE_INSTANCE } from './nodes.ts';
import { type GcKind, nodeErrors } from './notifications.ts';
import type { WebAppSettings } from './settings.ts';

/** WebApp's error codes that are acted on (Meta's table of error codes). */
export const WEB_APP_CODES = { accessDenied: 1005, notFound: 1006, internal: 1014 } as const;

/** How much of WebApp's own words an error's text shows. */
const SHOWN_CHARACTERS = 500;

/** What an HTTP header can bear of a token (RFC 6750's characters lie within). */
const TOKEN = /^[\x21-\x7e]+$/;

const apiUser = v.object({ username: v.string(), password: v.string() });

const errorEnvelope = v.object({
  errors: v.pipe(
    v.array(
      v.object({
        code: v.number(),
        title: v.fallback(v.string(), ''),
        details: v.fallback(v.string(), ''),
      }),
    ),
    v.minLength(1),
  ),
});

const loginAnswer = v.object({ users: v.tuple([v.object({ token: v.string() })]) });

/** More than any cluster has; and than a name, for what goes into a report has bounds. */
const MOST_NODES = 1000;
const LONGEST_NODE = 500;

/**
 * An answer of one unnamed node, or of each by its name: read one by one, so that one whose answer is odd does not hide what the
 * others said.
 */
function ofNodes<Schema extends v.GenericSchema>(schema: Schema, odd: v.InferOutput<Schema>) {
  const isReadable = (value: unknown) => v.is(schema, value);
  return v.union([
    v.pipe(
      schema,
      v.transform((answer): Record<string, v.InferOutput<Schema>> => ({ [SINGLE_INSTANCE]: answer })),
    ),
    v.pipe(
      v.record(v.pipe(v.string(), v.maxLength(LONGEST_NODE)), v.unknown()),
      v.check((nodes) => Object.keys(nodes).length <= MOST_NODES),
      v.check((nodes) => Object.keys(nodes).length === 0 || Object.values(nodes).some(isReadable)),
      v.transform((nodes) =>
        v.parse(
          v.record(
            v.string(),
            v.fallback(schema, () => odd),
          ),
          nodes,
        ),
      ),
    ),
  ]);
}

const gcStatus = v.object({ status: v.string(), errors: nodeErrors });
/** By node. */
const began = v.object({ gc: ofNodes(gcStatus, { status: 'an answer of another form', errors: [] }) });
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
  v.object({ health: ofNodes(nodeHealth, 'unknown') }),
  // Of none it tells nothing: it is asked by a node.
  v.check(({ health }) => Object.keys(health).length > 0),
  v.transform(({ health }) => health),
);

const secretsManager = namingErrors(new SecretsManagerClient({ requestHandler: REQUEST_LIMITS }));

const applicationSettingsAnswer = v.pipe(
  v.object({ settings: v.object({ application: v.record(v.string(), v.unknown()) }) }),
  v.transform(({ settings }) => settings.application),
);

const APPLICATION_SETTINGS_PATH = '/v1/settings/application';

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
  /**
   * What each node says of its connection to WhatsApp's servers: `connected`, `connecting`, `disconnected`, `uninitialized`,
   * `unregistered`, or `unknown` where it does not say. One that stands by is `disconnected`.
   */
  statuses(): Promise<Record<string, string>>;
  /** All application settings, which only an administrator is shown. Some may be secret, such as the webhook's URL. */
  applicationSettings(): Promise<Record<string, unknown>>;
  /** Sets application settings; what is not among these stays as it is. Only for an administrator. */
  changeApplicationSettings(changes: Record<string, unknown>): Promise<void>;
  /** What WebApp showed, once it was asked something. */
  certificate(): SeenCertificate | undefined;
}

/**
 * Logs in to WebApp, works, and logs out. A token that expires meanwhile is renewed once.
 * @throws WrongCredentialsError, UntrustedCertificateError, WebAppUnreachableError, WebAppError
 */
export async function withWebApp<T>(
  settings: WebAppSettings,
  work: (webApp: WebApp) => Promise<T>,
): Promise<T> {
  const connection = connectTo(settings);
  try {
    const session = new Session(settings, connection);
    try {
      return await work(session);
    } finally {
      await session.logout();
    }
  } finally {
    connection.close();
  }
}

class Session implements WebApp {
  readonly #settings: WebAppSettings;
  readonly #connection: Connection;
  #token: Promise<string> | undefined;
  #renewed = false;

  constructor(settings: WebAppSettings, connection: Connection) {
    this.#settings = settings;
    this.#connection = connection;
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
          : [{ node, reason: [status, ...errors].join(': ').slice(0, SHOWN_CHARACTERS) }],
      ),
    };
  }

  async markRead(messageId: string): Promise<void> {
    await this.#authorized('PUT', `/v1/messages/${encodeURIComponent(messageId)}`, { status: 'read' });
  }

  async nodes(): Promise<string[]> {
    return Object.keys(await this.statuses());
  }

  async connectedNodes(): Promise<number> {
    return Object.values(await this.statuses()).filter((status) => status === 'connected').length;
  }

  async applicationSettings(): Promise<Record<string, unknown>> {
    const path = APPLICATION_SETTINGS_PATH;
    return this.#parse(applicationSettingsAnswer, await this.#authorized('GET', path), path);
  }

  async changeApplicationSettings(changes: Record<string, unknown>): Promise<void> {
    await this.#authorized('PATCH', APPLICATION_SETTINGS_PATH, changes);
  }

  certificate(): SeenCertificate | undefined {
    return this.#connection.certificate();
  }

  /** Gives the token back. Without an effect on the work's outcome: a token that stays expires by itself. */
  async logout(): Promise<void> {
    const token = await this.#token?.catch(() => undefined);
    if (!token) return;
    const authorization = `Bearer ${token}`;
    await this.#connection.send('POST', '/v1/users/logout', { authorization }).catch(() => undefined);
  }

  async statuses(): Promise<Record<string, string>> {
    const path = '/v1/health';
    return this.#parse(healthAnswer, await this.#authorized('GET', path), path);
  }

  async #authorized(method: Method, path: string, body?: object): Promise<unknown> {
    this.#token ??= this.#login();
    const token = this.#token;
    const send = async (bearer: string) =>
      this.#connection.send(method, path, { authorization: `Bearer ${bearer}` }, body);
    const answer = await send(await token);
    if (!isRefusal(answer)) return this.#valueOf(answer, `${method} ${path}`);
    // Unless another request has renewed it meanwhile.
    if (this.#token === token && !this.#renewed) {
      this.#renewed = true;
      this.#token = this.#login();
    }
    const second = await send(await this.#token);
    if (isRefusal(second))
      throw new WrongCredentialsError(
        `WebApp at ${this.#settings.url} refused ${method} ${path} although its token was just renewed. Check the rights of the API user in ${this.#settings.secretArn}.`,
      );
    return this.#valueOf(second, `${method} ${path}`);
  }

  async #login(): Promise<string> {
    const { secretArn, url } = this.#settings;
    const { SecretString: secret } = await readSecretValue(secretsManager, { SecretId: secretArn });
    const { username, password } = parseOrThrow(apiUser, parsedJson(secret), `The secret ${secretArn}`);
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const path = '/v1/users/login';
    const answer = await this.#connection.send('POST', path, { authorization });
    if (isRefusal(answer))
      throw new WrongCredentialsError(
        `WebApp at ${url} refused the login of the API user in ${secretArn}. Put the right username and password in the secret. (An expired client refuses every login.)`,
      );
    const { token } = this.#parse(loginAnswer, this.#valueOf(answer, `POST ${path}`), path).users[0];
    if (TOKEN.test(token)) return token;
    throw new WebAppUnreachableError(
      `What answered POST ${path} at ${url} is not WebApp: the token that it gave has characters that no HTTP header can bear. Check the load balancer or proxy before WebApp.`,
    );
  }

  #valueOf(answer: Answer, request: string): unknown {
    const error = errorOf(answer);
    if (error) throw new WebAppError(request, error.code, wordsOf(error));
    if (answer.status === 404) throw new WebAppError(request, WEB_APP_CODES.notFound, 'HTTP status 404');
    if (answer.status >= 300)
      throw new WebAppUnreachableError(
        `What answered ${request} at ${this.#settings.url} is not WebApp: HTTP status ${answer.status} without WebApp's error. Check the load balancer before it.`,
      );
    if (!answer.text) return null;
    const value = parsedJson(answer.text);
    if (value !== undefined) return value;
    throw new WebAppUnreachableError(
      `What answered ${request} at ${this.#settings.url} is not WebApp: its answer is no JSON. Check the load balancer before it.`,
    );
  }

  #parse<Schema extends v.GenericSchema>(schema: Schema, value: unknown, path: string) {
    try {
      return parseOrThrow(schema, value, `its answer to ${path}`);
    } catch (error) {
      throw new WebAppUnreachableError(
        `What answered at ${this.#settings.url} is not WebApp: ${(error as Error).message} Check the load balancer before it.`,
      );
    }
  }
}

/** A wrong or expired token, a wrong password, missing rights: the client has one code for all of them. */
function isRefusal(answer: Answer): boolean {
  return answer.status === 401 || errorOf(answer)?.code === WEB_APP_CODES.accessDenied;
}

function errorOf(answer: Answer): { code: number; title: string; details: string } | undefined {
  const parsed = v.safeParse(errorEnvelope, parsedJson(answer.text));
  return parsed.success ? parsed.output.errors[0] : undefined;
}

/** Title and details, said once where they are the same. */
function wordsOf({ title, details }: { title: string; details: string }): string {
  const words = details.includes(title) ? details : [title, details].join(' ').trim();
  return words.length > SHOWN_CHARACTERS ? `${words.slice(0, SHOWN_CHARACTERS)}…` : words;
}

function parsedJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
