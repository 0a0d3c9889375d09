import { randomBytes } from 'node:crypto';
import type { Clock } from '../aws/clock.ts';
import { type Answer, failure, success } from './envelope.ts';

/** A user of WebApp's API. */
export interface ApiUser {
  username: string;
  password: string;
  /** The first login must name a new password, as that of a new installation's `admin`. @default false */
  firstLogin?: boolean;
  /** Whether it may see and change WebApp's settings. @default false */
  administrator?: boolean;
}

/** WebApp's users and the tokens they hold. */
export interface Users {
  /** `POST /v1/users/login`. */
  login(authorization: string | undefined, body: unknown): Answer;
  /** `POST /v1/users/logout`: ends the token in the header and no other. */
  logout(authorization: string | undefined): Answer;
  /** Whether a request's header holds a token that was given out, not revoked, and has not expired. */
  allows(authorization: string | undefined): boolean;
  /** Whether it is that of an administrator. */
  allowsAdministration(authorization: string | undefined): boolean;
  /** Every token that was given out so far, so that a rehearsal can look where it must not stand. */
  issued: readonly string[];
  /** Ends all tokens, as a restored or replaced database does. */
  revokeTokens(): void;
  setPassword(username: string, password: string): void;
}

/** Users whose tokens last for some seconds of the clock. */
export function users(accounts: readonly ApiUser[], clock: Clock, tokenLifetimeSeconds: number): Users {
  const byName = new Map(accounts.map((account) => [account.username, { ...account }]));
  const expiries = new Map<string, number>();
  const administrators = new Set<string>();
  const issued: string[] = [];

  const denied = () => failure(1005, 'Invalid credentials.');

  function login(authorization: string | undefined, body: unknown): Answer {
    const credentials = basic(authorization);
    const account = credentials && byName.get(credentials.username);
    if (account === undefined || account.password !== credentials?.password) return denied();
    if (account.firstLogin) {
      const wanted = newPassword(body);
      if (wanted === undefined) return failure(1008, 'new_password is required at the first login.');
      if (!isStrong(wanted)) {
        return failure(
          1009,
          'new_password needs 8 to 64 characters, among them a digit, an upper case letter, a lower case letter and a special character.',
        );
      }
      account.password = wanted;
      account.firstLogin = false;
    }
    const token = randomBytes(32).toString('base64url');
    const expiry = clock.now() + tokenLifetimeSeconds * 1000;
    expiries.set(token, expiry);
    if (account.administrator) administrators.add(token);
    issued.push(token);
    return success({ users: [{ token, expires_after: new Date(expiry).toISOString() }] });
  }

  function allows(authorization: string | undefined): boolean {
    const expiry = expiries.get(bearer(authorization) ?? '');
    return expiry !== undefined && expiry > clock.now();
  }

  return {
    login,
    allows,
    allowsAdministration: (authorization) =>
      allows(authorization) && administrators.has(bearer(authorization) ?? ''),
    issued,
    logout(authorization) {
      if (!allows(authorization)) return failure(1005, 'The token is not valid.');
      expiries.delete(bearer(authorization) ?? '');
      return success({});
    },
    revokeTokens: () => expiries.clear(),
    setPassword(username, password) {
      const account = byName.get(username);
      if (account === undefined) throw new Error(`WebApp's stand-in has no user ${username}`);
      account.password = password;
    },
  };
}

function basic(authorization: string | undefined): { username: string; password: string } | undefined {
  const encoded = /^Basic (.+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
}

function bearer(authorization: string | undefined): string | undefined {
  return /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
}

function newPassword(body: unknown): string | undefined {
  return typeof body === 'object' &&
    body !== null &&
    'new_password' in body &&
    typeof body.new_password === 'string'
    ? body.new_password
    : undefined;
}

/** The rule of Meta's documentation of login. */
function isStrong(password: string): boolean {
  return (
    password.length >= 8 &&
    password.length <= 64 &&
    [/\d/, /[A-Z]/, /[a-z]/, /[^A-Za-z0-9]/].every((kind) => kind.test(password))
  );
}
