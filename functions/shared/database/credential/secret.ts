import * as v from 'valibot';
import { ENGINES, type Engine, type Login } from '../contract/engine.ts';
import { RotationRefused, SecretInvalid } from '../contract/errors.ts';

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
  /** The whole object, with the fields that are not ours, which a rotation keeps. */
  fields: Readonly<Record<string, unknown>>;
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
  const { username, password, engine, host, port, dbname, masterarn } = parsed.output;
  return {
    username,
    password,
    ...(engine ? { engine } : {}),
    ...(host ? { host } : {}),
    ...(port ? { port } : {}),
    ...(dbname ? { dbname } : {}),
    ...(masterarn ? { masterarn } : {}),
    fields: parsed.output,
  };
}

/** The same secret for another login: every other field as it was. */
export function secretWith(secret: DatabaseSecret, login: Login): string {
  return JSON.stringify({ ...secret.fields, username: login.username, password: login.password });
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
