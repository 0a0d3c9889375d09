import * as v from 'valibot';
import { LONGEST_COUNT_SECONDS } from '../../../functions/database-size/contract.ts';
import {
  clusterName,
  containerName,
  containerPath,
  field,
  pattern,
  serviceNames,
  wholeNumber,
} from '../../checks/fields.ts';
import { WEEKDAYS } from '../../local-time.ts';
import { applicationSettingsSchema } from './application-settings-schema.ts';
import { credentialRotationSchema } from './credential-rotation-schema.ts';
import { nightlyTimeLimit, scheduleEntries, scheduleSchema, watchWindowSchema } from './fields.ts';

const markReadSchema = field(
  v.strictObject({
    olderThanHours: v.optional(
      wholeNumber(
        1,
        312,
        'Only messages at least this old are marked read. At most 13 days, for the queue keeps them for 14.',
      ),
      24,
    ),
    requestsPerSecond: v.optional(wholeNumber(1, 100, 'The most requests to WebApp in a second.'), 10),
    concurrency: v.optional(wholeNumber(1, 50, 'The most requests to WebApp at once.'), 4),
  }),
  'an object, {} for the defaults',
  'Marks inbound messages read before garbage collection is asked for, which deletes only what is read. **Your customers see it**, as blue ticks. Without it nothing is marked read.',
);

/** How the client is asked to collect garbage, of either kind. */
function gcEntries(severalCalls: string) {
  return {
    maximumCalls: v.optional(
      wholeNumber(1, 50, `How often garbage collection may be asked for in one run. ${severalCalls}`),
      3,
    ),
    pauseSeconds: v.optional(
      wholeNumber(1, 3600, 'Between a call that ended with errors and the next one.'),
      60,
    ),
    callbackTimeoutMinutes: v.optional(
      wholeNumber(
        16,
        720,
        "How long to wait for the nodes' callbacks before asking again. The client may send one 15 minutes late.",
      ),
      30,
    ),
  };
}

const messageGcSchema = field(
  v.strictObject({
    schedule: scheduleSchema,
    timeLimitMinutes: nightlyTimeLimit,
    ...gcEntries('A table of more than 10 million rows takes several calls.'),
    markRead: v.optional(markReadSchema),
    watchWindow: v.optional(watchWindowSchema),
    tellRows: v.optional(
      field(
        v.boolean(),
        'true or false',
        'Where `databases` are named: reads how many rows `messages` has before and after, as databaseSize does, and notices garbage collection without effect. See docs/database-size.md.',
      ),
      true,
    ),
  }),
  'an object with "schedule"',
  "Message garbage collection: deletes delivered and read messages from the client's database.",
);

const mediaGcSchema = field(
  v.strictObject({
    schedule: field(
      v.strictObject({
        weekday: v.optional(
          field(
            v.picklist([...WEEKDAYS, 'daily']),
            `one of ${WEEKDAYS.join(', ')}, or daily`,
            'The local day of `at`: after midnight, that on which the downtime window ends.',
          ),
          'sunday',
        ),
        ...scheduleEntries,
      }),
      'an object with "at"',
      'When the job runs. Its times are apart from those of `messageGc`, for both wait for callbacks of one queue.',
    ),
    timeLimitMinutes: v.optional(
      wholeNumber(
        30,
        720,
        'How long a run may take, counted from its scheduled time. Not longer than the downtime window.',
      ),
      60,
    ),
    ...gcEntries('A table `media` of more than 10 million rows takes several calls.'),
  }),
  'an object with "schedule"',
  'Media garbage collection: deletes the media that were unused for over 30 days, from volume and database.',
);

function clientContainers(role: string, logs: string) {
  return field(
    v.strictObject({
      services: serviceNames(`The services whose tasks are ${role}s.`),
      container: containerName("The container's name in their task definitions."),
      logs: v.optional(
        field(
          v.pipe(v.array(containerPath('A folder.')), v.minLength(1)),
          'a list of at least one absolute path',
          `Folders of the logs in the container. Left out: ${logs}.`,
        ),
      ),
      archive: v.optional(
        containerPath(
          'The folder of the rotated logs in the container. Left out: `/var/log/whatsapp/archive`.',
        ),
      ),
    }),
    'an object with "services" and "container"',
    `The ${role} containers.`,
  );
}

const COREAPP_LOGS = '`/usr/local/waent/logs` and `/var/log/whatsapp`';

const logArchiveSchema = field(
  v.pipe(
    v.strictObject({
      bucketName: v.optional(
        pattern(
          /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
          'the name of a bucket without dots',
          'A bucket that is there, in the same region. Left out: one is made, encrypted, and left in place when the stack goes.',
        ),
      ),
      bucketKeyArn: v.optional(
        pattern(
          /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[0-9a-f-]{36}$/,
          'the ARN of a KMS key',
          'The customer managed key of the bucket `bucketName`, if it has one.',
        ),
      ),
      keepDays: v.optional(
        wholeNumber(1, 3650, 'How long the bucket that is made keeps a log. Left out: 365.'),
      ),
    }),
    v.check(({ bucketName, bucketKeyArn, keepDays }) => (bucketName ? !keepDays : !bucketKeyArn)),
  ),
  'an object, {} for a bucket of its own: with "keepDays", or with "bucketName" and perhaps "bucketKeyArn"',
  'Keeps rotated logs in S3 before the clean-up: see docs/log-archive.md. Left out: they are not kept.',
);

const logCleanupSchema = field(
  v.strictObject({
    schedule: scheduleSchema,
    timeLimitMinutes: nightlyTimeLimit,
    clusterName: clusterName("The client's cluster."),
    roles: field(
      v.pipe(
        v.strictObject({
          webapp: v.optional(clientContainers('WebApp', '`/var/log/whatsapp` and `/var/log/lighttpd`')),
          coreapp: v.optional(clientContainers('CoreApp', COREAPP_LOGS)),
          master: v.optional(clientContainers('Master', COREAPP_LOGS)),
        }),
        v.check((roles) => Object.keys(roles).length > 0),
      ),
      'an object with "webapp", "coreapp", "master", or some of them',
      "The client's containers by role. Work never goes on in all containers of a role at once, unless there is but one.",
    ),
    script: v.optional(
      containerPath('The clean-up script in each container.'),
      '/opt/whatsapp/bin/cleanup.sh',
    ),
    timeoutMinutes: v.optional(
      wholeNumber(1, 720, 'How long the script may take in one container, before it is killed.'),
      30,
    ),
    concurrency: v.optional(
      wholeNumber(3, 50, 'In how many containers, over all, work goes on at once.'),
      20,
    ),
    nearlyFullPercent: v.optional(
      wholeNumber(1, 50, 'An alarm rings when a log file system has less than this free, in percent.'),
      15,
    ),
    archive: v.optional(logArchiveSchema),
    sessionEncryptionKeyArn: v.optional(
      pattern(
        /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[0-9a-f-]{36}$/,
        'the ARN of a KMS key',
        "The key of the cluster's ECS Exec sessions, if it has one. Left out: they are encrypted by TLS alone.",
      ),
    ),
    runCommand: v.optional(
      field(
        v.strictObject({
          tagKey: pattern(/^[\w .:/=+@-]{1,128}$/, 'the key of a tag', "The key of the instances' tag."),
          tagValue: pattern(/^[\w .:/=+@-]{1,256}$/, 'the value of a tag', 'Its value.'),
        }),
        'an object with "tagKey" and "tagValue"',
        'Reaches the containers by SSM Run Command on the container instances with this tag, for tasks on EC2 without ECS Exec. Left out: by ECS Exec.',
      ),
    ),
  }),
  'an object with "schedule", "clusterName" and "roles"',
  "Log clean-up: runs the client's own clean-up script in each of its containers, and measures what came of it.",
);

const databaseSizeSchema = field(
  v.strictObject({
    schedule: scheduleSchema,
    timeLimitMinutes: v.optional(
      wholeNumber(
        10,
        720,
        'How long a run may take, counted from its scheduled time. Not longer than the downtime window.',
      ),
      30,
    ),
    exactCountTimeLimitSeconds: v.optional(
      wholeNumber(
        1,
        LONGEST_COUNT_SECONDS,
        "Counts the rows one by one in each run, for at most so long a table, in place of the server's estimates, for which no row is read. The user then needs `SELECT` on a column.",
      ),
    ),
  }),
  'an object with "schedule"',
  'Tells how large the databases of `databases` are, and how soon they will be too large: see docs/database-size.md.',
);

/** The jobs of a deployment, each with its schedule and settings. */
export const jobsSchema = v.strictObject({
  messageGc: v.optional(messageGcSchema),
  mediaGc: v.optional(mediaGcSchema),
  databaseSize: v.optional(databaseSizeSchema),
  logCleanup: v.optional(logCleanupSchema),
  credentialRotation: v.optional(credentialRotationSchema),
  applicationSettings: v.optional(applicationSettingsSchema),
});

export type JobName = keyof typeof jobsSchema.entries;
/** The jobs that a configuration can name. Each has a `schedule` and `timeLimitMinutes`. */
export const JOB_NAMES = Object.keys(jobsSchema.entries) as JobName[];
