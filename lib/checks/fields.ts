import { Temporal } from 'temporal-polyfill';
import * as v from 'valibot';
import { ENGINES, type Engine } from '../../functions/shared/database/contract/engine.ts';
import { DEPLOYMENT_NAME } from '../deployment-name.ts';
import { nearest } from './nearest.ts';

/** What the documentation and the messages say of a field. */
export interface FieldText {
  /** Completes "it must be …". */
  allowed: string;
  description: string;
  /** Completes it for a value that is not allowed, where that says more. */
  allowedInstead?: (value: unknown) => string | undefined;
  /** Whether the synthesis computes with it, so that no token of the CDK can stand for it. */
  isComputedWith?: boolean;
  /** Whether what stands there may be a secret, or have been taken for one: no message repeats it. */
  secret?: boolean;
}

export function field<const Schema extends v.GenericSchema>(
  schema: Schema,
  allowed: string,
  description: string,
  more: Omit<FieldText, 'allowed' | 'description'> = {},
) {
  return v.pipe(schema, v.metadata({ allowed, description, ...more } satisfies FieldText));
}

/** A field whose value no message repeats. */
export function secretField<const Schema extends v.GenericSchema>(
  schema: Schema,
  allowed: string,
  description: string,
) {
  return field(schema, allowed, description, { secret: true });
}

export function pattern(
  regex: RegExp,
  allowed: string,
  description: string,
  more: Omit<FieldText, 'allowed' | 'description'> = {},
) {
  return field(v.pipe(v.string(), v.regex(regex)), allowed, description, more);
}

export function flag(description: string) {
  return field(v.boolean(), 'true or false', description);
}

export function wholeNumber(from: number, to: number, description: string) {
  return field(
    v.pipe(v.number(), v.integer(), v.minValue(from), v.maxValue(to)),
    `a whole number from ${from} to ${to}`,
    description,
  );
}

export function localTime(description: string) {
  return pattern(/^([01]\d|2[0-3]):[0-5]\d$/, 'a local time HH:MM, from 00:00 to 23:59', description, {
    isComputedWith: true,
  });
}

export function deploymentName(description: string) {
  return pattern(
    DEPLOYMENT_NAME,
    'a lower-case letter, then at most 23 lower-case letters, digits and hyphens',
    description,
    { isComputedWith: true },
  );
}

export function timeZone(description: string) {
  return field(
    v.pipe(v.string(), v.check(isTimeZone)),
    'an IANA time zone such as Europe/Berlin',
    description,
    {
      isComputedWith: true,
      allowedInstead: (value) => nearTimeZone(value) && `an IANA time zone such as ${nearTimeZone(value)}`,
    },
  );
}

/** The downtime window, of a deployment. */
export function downtimeWindow(description: string) {
  return field(
    v.strictObject({
      from: localTime('The beginning.'),
      to: localTime('The end. Before `from`: on the next day. The same as `from` only with `wholeDay`.'),
      wholeDay: v.optional(
        field(
          v.boolean(),
          'true or false',
          'Says that the window, whose ends are the same, is the whole day.',
        ),
        false,
      ),
    }),
    'an object with "from" and "to"',
    description,
  );
}

/** SNS takes any number; with more than these the stack has no room for much else (CloudFormation's 500 resources). */
const MAXIMUM_EMAILS = 50;

/** RFC 5321, 4.5.3.1.3, without the angle brackets. */
const LONGEST_EMAIL = 254;

export function emails(description: string) {
  return field(
    v.pipe(
      v.array(
        field(v.pipe(v.string(), v.email(), v.maxLength(LONGEST_EMAIL)), 'an e-mail address', 'An address.'),
      ),
      v.minLength(1),
      v.maxLength(MAXIMUM_EMAILS),
    ),
    `a list of 1 to ${MAXIMUM_EMAILS} e-mail addresses`,
    description,
  );
}

/** The name of something in ECS. */
function ecsName(kind: string, description: string) {
  return pattern(/^[\w-]{1,255}$/, `the name of ${kind}`, description);
}

export function clusterName(description: string) {
  return ecsName('an ECS cluster', description);
}

export function serviceName(description: string) {
  return ecsName('an ECS service', description);
}

export function containerName(description: string) {
  return pattern(/^[\w-]{1,255}$/, "a container's name", description);
}

export function containerPath(description: string) {
  return pattern(/^(\/[\w.+-]+)+$/, 'an absolute path of letters, digits and . _ + -', description);
}

/** Each has an alarm or a place in a function's environment, of which there are only so many. */
const MAXIMUM_SERVICES = 50;

export function serviceNames(description: string) {
  return field(
    v.pipe(v.array(serviceName('A service of the cluster.')), v.minLength(1), v.maxLength(MAXIMUM_SERVICES)),
    `a list of 1 to ${MAXIMUM_SERVICES} names of ECS services`,
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

export function secretArn(description: string) {
  return pattern(
    // An exclamation mark has the name of a secret that RDS made.
    /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@!-]+-[a-zA-Z0-9]{6}$/,
    "the full ARN of a secret, with the six characters at its end, in the deployment's account and region",
    description,
  );
}

/**
 * A DNS name of at most 253 characters, each part of at most 63, that is no address: a URL takes what ends with a number, be it
 * hexadecimal, for one (WHATWG).
 */
const HOST_NAME =
  /^(?=.{1,253}$)(?!.*\.\d+$)(?!\d+$)(?!(.*\.)?0[xX][\da-fA-F]*$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/;

export function isHostName(text: string): boolean {
  return HOST_NAME.test(text);
}

export function hostName(description: string) {
  return pattern(HOST_NAME, 'a host name, not an address', description);
}

export function port(description: string) {
  return wholeNumber(1, 65_535, description);
}

export function engine(description: string) {
  return field(
    v.picklist(Object.keys(ENGINES) as Engine[]),
    `one of ${Object.keys(ENGINES).join(', ')}`,
    description,
  );
}

/** Intl takes names that are no IANA names (`PST`), offsets (`+01:00`) and any case; EventBridge Scheduler does not. */
function isTimeZone(name: string): boolean {
  return !/^[+-]|^systemv\//i.test(name) && spelledTimeZone(name) === name;
}

function spelledTimeZone(name: string): string | undefined {
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name).timeZoneId;
  } catch {
    return undefined;
  }
}

function nearTimeZone(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 100 || /^[+-]|^systemv\//i.test(value)) return undefined;
  const name = value.trim().replaceAll(/\s+/g, '_');
  return spelledTimeZone(name) ?? nearest(name, Intl.supportedValuesOf('timeZone'));
}
