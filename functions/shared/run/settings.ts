import * as v from 'valibot';

/**
 * The function's settings, which its construct wrote into the environment variable `UPKEEP_SETTINGS`.
 * @throws Error naming the field, if they are not of the schema's form.
 */
export function readSettings<Schema extends v.GenericSchema>(schema: Schema): v.InferOutput<Schema> {
  return parseOrThrow(
    schema,
    JSON.parse(process.env.UPKEEP_SETTINGS ?? '{}'),
    'The environment variable UPKEEP_SETTINGS',
  );
}

/**
 * A value from outside, checked.
 * @throws Error naming the source and the field. The value itself is not in the message.
 */
export function parseOrThrow<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  source: string,
): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  throw new Error(
    `${source} has a wrong value at "${v.getDotPath(issue) ?? ''}": expected ${issue.expected ?? issue.message}.`,
  );
}
