import * as v from 'valibot';
import { field, pattern, wholeNumber } from '../../checks/fields.ts';
import { securityGroupId, subnetSchema } from './fields.ts';

/** Days without access after which EFS can move a file; 0 for never. */
const STORAGE_DAYS = [0, 1, 7, 14, 30, 60, 90, 180, 270, 365] as const;

const createdVolumeSchema = field(
  v.strictObject({
    subnets: v.optional(
      field(
        v.pipe(v.array(subnetSchema("A subnet of the client's tasks.")), v.minLength(1)),
        'a list of at least one { id, availabilityZone }, each in another zone',
        "Where the client's tasks run, if not in the subnets of `network`.",
      ),
    ),
    clientSecurityGroupIds: field(
      v.pipe(v.array(securityGroupId), v.minLength(1)),
      'a list of at least one security group id',
      'The security groups of the tasks or hosts that mount the volume. Nobody else can reach it.',
    ),
    roleArns: field(
      v.pipe(
        v.array(
          pattern(
            /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/,
            'the ARN of a role, without a wildcard',
            'A role.',
          ),
        ),
        v.minLength(1),
      ),
      'a list of at least one role ARN',
      'The task roles, or instance roles of hosts, that may mount the volume. Others cannot, whatever their own policies allow.',
    ),
    throughput: v.optional(
      field(
        v.picklist(['elastic', 'bursting']),
        '"elastic" or "bursting"',
        'Elastic pays for each gigabyte moved. Bursting is free, and grows with what lies in the standard class only.',
      ),
      'elastic',
    ),
    infrequentAccessAfterDays: v.optional(
      field(
        v.picklist(STORAGE_DAYS),
        `one of the days that EFS knows, or 0 for never: ${STORAGE_DAYS.join(', ')}`,
        'Days without access after which a file moves to infrequent access. Media garbage collection deletes what was unused for 30.',
      ),
      14,
    ),
    archiveAfterDays: v.optional(
      field(
        v.picklist(STORAGE_DAYS),
        `one of the days that EFS knows, or 0 for never: ${STORAGE_DAYS.join(', ')}`,
        'Likewise to archive: only with elastic throughput, which the file system can then not leave.',
      ),
      0,
    ),
    encryption: v.optional(
      field(
        v.picklist(['aws', 'customer-managed']),
        '"aws" or "customer-managed"',
        'The key of the file system, which it has for life: another one has CloudFormation make a new and empty file system, and keep the old one without mounting it. Left out, it is as `encryption` of the deployment: say here what it has been, before you change that.',
      ),
    ),
    automaticBackups: v.optional(
      field(
        v.boolean(),
        'true or false',
        'Whether AWS Backup takes a daily backup, kept for 35 days. `false` only where a backup plan of yours names the file system.',
      ),
      true,
    ),
    replicationRegion: v.optional(
      pattern(
        /^[a-z]{2}(-[a-z]+)+-\d$/,
        "the name of another AWS region than the deployment's",
        'A region for a copy, minutes behind and read-only.',
      ),
    ),
  }),
  'an object with "clientSecurityGroupIds" and "roleArns"',
  'A volume to create, in a stack of its own, `upkeep-NAME-media`: encrypted, kept when the stack is deleted.',
);

const existingVolumeSchema = field(
  v.strictObject({
    fileSystemId: pattern(
      /^fs-([0-9a-f]{8}|[0-9a-f]{17})$/,
      'a file system id such as fs-0123456789abcdef0',
      'The file system.',
    ),
    securityGroupId,
    accessPointId: v.optional(
      pattern(
        /^fsap-[0-9a-f]{17}$/,
        'an access point id such as fsap-0123456789abcdef0',
        'An access point that exists, in place of one of the stack.',
      ),
    ),
    throughput: v.optional(
      field(
        v.picklist(['elastic', 'bursting', 'provisioned']),
        '"elastic", "bursting" or "provisioned"',
        "What it has. Bursting, as on Meta's AWS template, has credits that can run out, and an alarm on them.",
      ),
      'bursting',
    ),
  }),
  'an object with "fileSystemId" and "securityGroupId"',
  'A file system that exists. It gets an access point and alarms; its encryption, backups and policy stay what they are.',
);

/** The volume that the client shares for media: created, or there already. */
export const mediaVolumeSchema = field(
  v.pipe(
    v.strictObject({
      create: v.optional(createdVolumeSchema),
      existing: v.optional(existingVolumeSchema),
      directory: v.optional(
        pattern(
          // EFS's limits, and no level that is another one.
          /^(?=.{1,100}$)(\/(?!\.{1,2}(\/|$))[\w.-]+){1,4}$/,
          'an absolute path of one to four levels and at most 100 characters, without . and ..',
          "The directory of the file system that holds the media. On Meta's AWS template it is the default.",
        ),
        '/media',
      ),
      owner: v.optional(
        field(
          v.strictObject({
            uid: wholeNumber(0, 4_294_967_295, 'The user.'),
            gid: wholeNumber(0, 4_294_967_295, 'The group.'),
          }),
          'an object with "uid" and "gid"',
          'The user that all clients of the volume act as. Files of other users that these keep to themselves can then not be read. Without it files keep their owners.',
        ),
      ),
      maximumSizeGibibytes: v.optional(
        wholeNumber(1, 1_000_000, 'The size above which an alarm rings. Without it none does.'),
      ),
      maximumBackupAgeHours: v.optional(
        wholeNumber(
          25,
          720,
          'The age of the last backup above which an alarm rings. AWS Backup takes one a day. `jobs.databaseSize` looks daily how old it is: without that job there is no such alarm.',
        ),
        48,
      ),
    }),
    v.check(({ create, existing }) => (create === undefined) !== (existing === undefined)),
  ),
  'an object with either "create" or "existing"',
  'The volume that the client shares for media: see docs/media-volume.md.',
);
