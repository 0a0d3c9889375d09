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

/** A job's times of each day. */
export const scheduleEntries = {
  at: localTime("When the run is due, in the deployment's time zone, inside the downtime window."),
  flexibleMinutes: v.optional(
    wholeNumber(
      0,
      360,
      'EventBridge Scheduler picks the moment within so many minutes after `at`; all of them must lie inside the downtime window.',
    ),
    15,
  ),
};

export const scheduleSchema = field(
  v.strictObject(scheduleEntries),
  'an object with "at"',
  'When the job runs, daily.',
);

export const nightlyTimeLimit = v.optional(
  wholeNumber(
    30,
    720,
    'How long a run may take, counted from its scheduled time. Not longer than the downtime window; at the end of the window a run ends in any case.',
  ),
  120,
);

export const clusterName = pattern(/^[\w-]{1,255}$/, 'the name of an ECS cluster', "The client's cluster.");

export function serviceNames(description: string) {
  return field(
    v.pipe(
      v.array(pattern(/^[\w-]{1,255}$/, 'the name of an ECS service', 'A service of the cluster.')),
      v.minLength(1),
    ),
    'a list of at least one name of an ECS service',
    description,
  );
}

export function keyArn(description: string) {
  return pattern(
    /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/,
    "the ARN of a KMS key in the deployment's region",
    description,
  );
}

export function secretSchema(description: string) {
  return v.strictObject({
    secretArn: pattern(
      // An exclamation mark has the name of a secret that RDS made.
      /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@!-]+-[a-zA-Z0-9]{6}$/,
      "the full ARN of a secret, with the six characters at its end, in the deployment's account and region",
      description,
    ),
    encryptionKeyArn: v.optional(
      keyArn("The key of the secret, if it is not the account's own for Secrets Manager."),
    ),
  });
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
