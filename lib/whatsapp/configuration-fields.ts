import * as v from 'valibot';

/** What the documentation and the messages say of a field. */
export interface FieldText {
  /** Completes "it must be …". */
  allowed: string;
  description: string;
  /** Whether what stands there may be a secret, or have been taken for one: no message repeats it. */
  secret?: boolean;
}

export function field<const Schema extends v.GenericSchema>(
  schema: Schema,
  allowed: string,
  description: string,
) {
  return v.pipe(schema, v.metadata({ allowed, description } satisfies FieldText));
}

/** A field whose value no message repeats. */
export function secretField<const Schema extends v.GenericSchema>(
  schema: Schema,
  allowed: string,
  description: string,
) {
  return v.pipe(schema, v.metadata({ allowed, description, secret: true } satisfies FieldText));
}

export function pattern(regex: RegExp, allowed: string, description: string) {
  return field(v.pipe(v.string(), v.regex(regex)), allowed, description);
}

export function wholeNumber(from: number, to: number, description: string) {
  return field(
    v.pipe(v.number(), v.integer(), v.minValue(from), v.maxValue(to)),
    `a whole number from ${from} to ${to}`,
    description,
  );
}

export function localTime(description: string) {
  return pattern(/^([01]\d|2[0-3]):[0-5]\d$/, 'a local time HH:MM, from 00:00 to 23:59', description);
}

export const securityGroupId = pattern(
  /^sg-([0-9a-f]{8}|[0-9a-f]{17})$/,
  'a security group id such as sg-0123456789abcdef0',
  'A security group.',
);

export function subnetSchema(description: string) {
  return v.strictObject({
    id: pattern(
      /^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/,
      'a subnet id such as subnet-0123456789abcdef0',
      description,
    ),
    availabilityZone: pattern(
      /^[a-z]{2}(-[a-z]+)+-\d[a-z]$/,
      "the name of an availability zone of the deployment's region, such as us-east-1a",
      'Its availability zone.',
    ),
  });
}
