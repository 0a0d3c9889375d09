import * as v from 'valibot';
import { ENGINES, type Engine, type Login } from '../contract/engine.ts';
import { RotationRefused, SecretInvalid } from '../contract/errors.ts';
import { COPY_ENCODINGS, type CopyTemplate, contentOf } from './copy-template.ts';
import { membersOf, withMembers } from './json-text.ts';

/**
 * A database's credential in the JSON form that AWS documents for Secrets Manager. A secret that is not attached
 * to a database may lack all but user name and password, and so does one that RDS manages.
 */
export interface DatabaseSecret extends Login {
  engine?: Engine;
  host?: string;
  port?: number;
  dbname?: string;
  /** The secret of an administrator, who rotates this one. */
  masterarn?: string;
  /** The whole value, with the fields that are not ours, which a rotation keeps as they are written. */
  text: string;
}

const text = v.pipe(v.string(), v.nonEmpty());

const absent = v.union([v.null(), v.literal('')]);

/** A field that may be missing; the console and older templates also write an empty text or null. */
function optional<Schema extends v.GenericSchema>(schema: Schema) {
  return v.optional(v.union([schema, absent]));
}

const schema = v.looseObject({
  username: text,
  password: text,
  engine: optional(v.picklist(Object.keys(ENGINES) as Engine[])),
  host: optional(text),
  // A number by AWS's documentation, a text of digits as the console writes it.
  port: optional(
    v.pipe(
      v.union([v.number(), v.pipe(v.string(), v.digits(), v.transform(Number))]),
      v.integer(),
      v.minValue(1),
      v.maxValue(65_535),
    ),
  ),
  dbname: optional(text),
  masterarn: optional(text),
});

/**
 * Reads a secret's value.
 * @param arn named in errors; the value never is.
 * @throws {@link SecretInvalid}
 */
export function parseSecret(value: string | undefined, arn: string): DatabaseSecret {
  const next = 'Write the JSON object that AWS documents for database credentials into it.';
  let json: unknown;
  try {
    json = JSON.parse(value ?? '');
  } catch {
    throw new SecretInvalid(`The secret ${arn} is not JSON text. ${next}`);
  }
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) {
    const field = v.getDotPath(parsed.issues[0]);
    const where = field === null ? 'The secret' : `The field "${field}" of the secret`;
    throw new SecretInvalid(`${where} ${arn} is missing or not of the right form. ${next}`);
  }
  const keys = membersOf(value ?? '').map(({ key }) => key);
  const twice = ['username', 'password'].find((name) => keys.indexOf(name) !== keys.lastIndexOf(name));
  if (twice !== undefined) {
    throw new SecretInvalid(`The field "${twice}" of the secret ${arn} stands there twice. ${next}`);
  }
  const { username, password, engine, host, port, dbname, masterarn } = parsed.output;
  return {
    username,
    password,
    ...(engine ? { engine } : {}),
    ...(host ? { host } : {}),
    ...(port ? { port } : {}),
    ...(dbname ? { dbname } : {}),
    ...(masterarn ? { masterarn } : {}),
    text: value ?? '',
  };
}

/** A field of the rotated secret itself that holds the password among other text, such as a URL. */
export interface SecretField extends CopyTemplate {
  /** The field's name. */
  key: string;
}

/** The same secret for another login: every other field as it is written, but those that hold the login too. */
export function secretWith(
  secret: DatabaseSecret,
  login: Login,
  fields: readonly SecretField[] = [],
): string {
  return withMembers(
    secret.text,
    new Map([
      ['username', login.username],
      ['password', login.password],
      ...fields.map((field): [string, string] => [field.key, contentOf(field, login)]),
    ]),
  );
}

/** A shorter password may stand in other words by chance. */
const SHORTEST_FOUND = 6;

/** Whether a text holds a password, as it is or in one of the forms that readers of templates want it in. */
export function holdsPassword(text: string, login: Login): boolean {
  const { password } = login;
  if (password.length < SHORTEST_FOUND) return text === password;
  const forms = COPY_ENCODINGS.map((encoding) => contentOf({ encoding }, login)).concat(
    JSON.stringify(password).slice(1, -1),
  );
  return forms.some((form) => text.includes(form));
}

/** Keys of the secret that hold its password among other text and of which nobody has said so: it would stay the old one. */
function unknownCopies(secret: DatabaseSecret, fields: readonly SecretField[] = []): string[] {
  if (secret.password.length < SHORTEST_FOUND) return [];
  const known = new Set(['username', 'password', ...fields.map(({ key }) => key)]);
  return membersOf(secret.text)
    .filter(
      ({ key, value }) =>
        !known.has(key) && holdsPassword(typeof value === 'string' ? value : JSON.stringify(value), secret),
    )
    .map(({ key }) => key);
}

/**
 * Whether a secret is of the database that was configured. Connections go to the configured one in any case, so
 * that whoever may write a secret cannot have the administrator's password sent to a host of his.
 *
 * @throws {@link RotationRefused}
 */
export function checkBelongs(
  secret: DatabaseSecret,
  arn: string,
  database: { engine: Engine; host: string; port: number },
): void {
  const next = 'Correct the secret, or the configuration, whichever is wrong.';
  if (secret.host !== undefined && secret.host.toLowerCase() !== database.host.toLowerCase()) {
    throw new RotationRefused(
      `The secret ${arn} is of the host ${secret.host}; configured is ${database.host}. ${next}`,
    );
  }
  if (secret.port !== undefined && secret.port !== database.port) {
    throw new RotationRefused(
      `The secret ${arn} is of port ${secret.port}; configured is ${database.port}. ${next}`,
    );
  }
  if (secret.engine !== undefined && ENGINES[secret.engine] !== ENGINES[database.engine]) {
    throw new RotationRefused(
      `The secret ${arn} is of the engine ${secret.engine}; configured is ${database.engine}. ${next}`,
    );
  }
}

/** @throws {@link RotationRefused} if a field holds the password of which nobody has said so: it would stay the old one. */
export function checkCopies(secret: DatabaseSecret, arn: string, fields: readonly SecretField[] = []): void {
  const keys = unknownCopies(secret, fields);
  if (keys.length === 0) return;
  throw new RotationRefused(
    `The secret ${arn} holds its password in ${keys.map((key) => `"${key}"`).join(' and ')} too, which would keep the old one. ` +
      'Name that among the copies of the configuration (secretArn: the secret itself, key, template, encoding), or take it out of the secret.',
  );
}
