import * as v from 'valibot';
import { field, keyArn, localTime, pattern, secretArn, wholeNumber } from '../../checks/fields.ts';

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
