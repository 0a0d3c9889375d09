import { isIPv4 } from 'node:net';
import * as v from 'valibot';
import {
  field,
  isHostName,
  keyArn,
  localTime,
  pattern,
  secretArn,
  wholeNumber,
} from '../../checks/fields.ts';

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

export function secretSchema(description: string) {
  return v.strictObject({
    secretArn: secretArn(description),
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

export function webAppUrl(description: string) {
  return field(
    v.pipe(v.string(), v.check(isWebAppUrl)),
    'an https URL without a path, such as https://webapp.example.internal',
    description,
  );
}

/** Of a host that may be an address, and of a port that there is. */
function isWebAppUrl(text: string): boolean {
  const [, host = '', port = '443'] = /^https:\/\/([a-zA-Z0-9.-]+)(?::(\d{1,5}))?\/?$/.exec(text) ?? [];
  return (isHostName(host) || isIPv4(host)) && Number(port) >= 1 && Number(port) <= 65_535;
}

/** Each has several alarms, and its settings in a function's environment. */
export const MAXIMUM_SETS = 20;

export function databasePrefix() {
  return field(
    v.pipe(v.string(), v.maxLength(40)),
    'a text of at most 40 characters, "" for none',
    '`WA_DB_NAME_PREFIX`, which stands before the name of each database.',
  );
}

export function databaseSetName() {
  return pattern(
    /^[\w-]{1,40}$/,
    'at most 40 letters, digits, hyphens and underscores',
    'Names the metrics and alarms of these databases. Without it: the prefix without underscores and hyphens at its ends, or `default`.',
  );
}

export function databaseNames() {
  return field(
    v.array(pattern(/^[\w-]{1,40}$/, 'the name of a database, without the prefix', 'A database.')),
    'a list of names of databases, without the prefix',
    "Where the table `media` is looked for, which is in no documentation. `[]`: it is not watched. Without it: in all of the client's databases whose names are known.",
  );
}

export function serverIdentifier() {
  return pattern(
    /^[a-z](-?[a-z0-9]){0,62}$/,
    'the identifier of a DB instance, or of a DB cluster of Aurora',
    "The DB instance's identifier; of Aurora the DB cluster's.",
  );
}

/** By what is told whether the downtime window is quiet. */
export const watchWindowSchema = field(
  v.strictObject({
    loadBalancer: v.optional(
      pattern(
        /^(app|net)\/[\w-]+\/[0-9a-f]{16}$/,
        "the end of a load balancer's ARN, such as app/shop/0123456789abcdef",
        'Counts its requests, of a network load balancer its connections. Left out: the callbacks on the bus.',
      ),
    ),
    databaseInstance: v.optional(
      pattern(
        /^(?!.*--)[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/,
        'the identifier of a DB instance of RDS, such as whatsapp-latam',
        'Counts the kilobytes that it is sent, in place of requests or callbacks. Of a cluster: the instance that writes.',
      ),
    ),
  }),
  'an object, {} for the callbacks on the bus',
  'Tells in the report of each Monday, and by an alarm, where the downtime window is no longer quiet: see docs/command-line.md, "window". No schedule moves by itself.',
);

export function callbackSender() {
  return pattern(
    /^(\d{12}|arn:aws[a-z-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+)$/,
    'the ARN of a role, or the number of another account',
    'A sender.',
  );
}
