import type { Login } from '../contract/engine.ts';
import { DEFAULT_ALPHABET, type PasswordRules } from './password.ts';

/** By whose rules a copy's text is read, so that user name and password are escaped for that reader. */
export type CopyEncoding =
  /** A URL or connection URI: percent-encoded. */
  | 'url'
  /** A line of PostgreSQL's `.pgpass`. */
  | 'pgpass'
  /** libpq's `key=value` form, as in `host=db password={password}`. */
  | 'dsn'
  /** A shell's, as in `PASSWORD={password}`: in single quotes. */
  | 'env'
  /** Nothing is escaped: the reader takes every character as it is. */
  | 'raw';

/** What is written to a place that keeps a copy of a credential. */
export interface CopyTemplate {
  /** What is written there: `{username}` and `{password}` stand for the credential's. @default `{password}` */
  template?: string;
  /**
   * How they are written within it. @default as they are, which is refused where the template has more than the one of them
   * and the password's alphabet has characters that a reader might take for something else
   */
  encoding?: CopyEncoding;
}

const ENCODED: Record<CopyEncoding, (value: string) => string> = {
  // Those that encodeURIComponent leaves, although RFC 3986 reserves them.
  url: (value) =>
    encodeURIComponent(value).replaceAll(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    ),
  // PostgreSQL's manual, The Password File: "If an entry needs to contain : or \\, escape this character with \\".
  pgpass: (value) => value.replaceAll(/[\\:]/g, '\\$&'),
  // libpq's conninfo_parse takes a backslash before any character, in quotes and without.
  dsn: (value) => value.replaceAll(/[\\'\s]/g, '\\$&'),
  env: (value) => `'${value.replaceAll("'", "'\\''")}'`,
  raw: (value) => value,
};

export const COPY_ENCODINGS = Object.keys(ENCODED) as CopyEncoding[];

/** What a copy is to hold. */
export function contentOf(
  { template = '{password}', encoding = 'raw' }: CopyTemplate,
  { username, password }: Login,
): string {
  const encode = ENCODED[encoding];
  return template.replaceAll(/\{(username|password)\}/g, (_, field) =>
    encode(field === 'username' ? username : password),
  );
}

/** Characters that URLs (RFC 3986's unreserved ones), `.pgpass`, connection strings and shells all take as they are. */
const SAFE = /[A-Za-z0-9_.~-]/;

/** Why a copy might be read as something else than it should; `undefined` if it will not. For the synthesis. */
export function whyAmbiguous(
  { template = '{password}', encoding }: CopyTemplate,
  rules: PasswordRules,
): string | undefined {
  if (encoding !== undefined || /^\{(username|password)\}$/.test(template)) return undefined;
  const { alphabet = DEFAULT_ALPHABET, exclude = '' } = rules;
  const unsafe = [...new Set(alphabet)].filter(
    (character) => !SAFE.test(character) && !exclude.includes(character),
  );
  if (unsafe.length === 0) return undefined;
  return `The template puts a password with any of ${unsafe.join('')} between other text, and how its reader takes those is not said: name its encoding (${COPY_ENCODINGS.join(', ')}), or exclude the characters.`;
}
