import * as v from 'valibot';
import { LONGEST_COUNT_SECONDS } from '../../functions/database-size/contract.ts';
import { ENGINES, type Engine } from '../../functions/shared/database/secret.ts';
import { DEPLOYMENT_NAME } from '../deployment-name.ts';
import { WEEKDAYS } from '../local-time.ts';

/** What the documentation and the messages say of a field. */
export interface FieldText {
  /** Completes "it must be …". */
  allowed: string;
  description: string;
  /** Whether what stands there may be a secret, or have been taken for one: no message repeats it. */
  secret?: boolean;
}

/** Days without access after which EFS can move a file; 0 for never. */
const STORAGE_DAYS = [0, 1, 7, 14, 30, 60, 90, 180, 270, 365] as const;

/** Days that CloudWatch Logs can keep a log for, up to ten years. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

function field<const Schema extends v.GenericSchema>(schema: Schema, allowed: string, description: string) {
  return v.pipe(schema, v.metadata({ allowed, description } satisfies FieldText));
}

/** A field whose value no message repeats. */
function secretField<const Schema extends v.GenericSchema>(
  schema: Schema,
  allowed: string,
  description: string,
) {
  return v.pipe(schema, v.metadata({ allowed, description, secret: true } satisfies FieldText));
}

function pattern(regex: RegExp, allowed: string, description: string) {
  return field(v.pipe(v.string(), v.regex(regex)), allowed, description);
}

function wholeNumber(from: number, to: number, description: string) {
  return field(
    v.pipe(v.number(), v.integer(), v.minValue(from), v.maxValue(to)),
    `a whole number from ${from} to ${to}`,
    description,
  );
}

function localTime(description: string) {
  return pattern(/^([01]\d|2[0-3]):[0-5]\d$/, 'a local time HH:MM, from 00:00 to 23:59', description);
}

const securityGroupId = pattern(
  /^sg-([0-9a-f]{8}|[0-9a-f]{17})$/,
  'a security group id such as sg-0123456789abcdef0',
  'A security group.',
);

const notificationsSchema = field(
  v.pipe(
    v.strictObject({
      emails: v.optional(
        field(
          v.array(field(v.pipe(v.string(), v.email()), 'an e-mail address', 'An address.')),
          'a list of e-mail addresses',
          'Who is mailed each alarm, by a topic of the stack. Each address must confirm the mail that SNS sends it.',
        ),
      ),
      topicArn: v.optional(
        pattern(
          /^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}$/,
          "the ARN of an SNS topic in the deployment's region",
          "A topic of yours, instead of one of the stack's. Its policy must let `cloudwatch.amazonaws.com` publish; if a KMS key of yours encrypts it, the key's policy must let it `kms:Decrypt` and `kms:GenerateDataKey*`: else alarms are dropped in silence.",
        ),
      ),
    }),
    v.check(({ emails, topicArn }) => !emails || !topicArn),
  ),
  'an object with either "emails" or "topicArn"',
  'Where the alarms go.',
);

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

const scheduleEntries = {
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

const scheduleSchema = field(
  v.strictObject(scheduleEntries),
  'an object with "at"',
  'When the job runs, daily.',
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
    timeLimitMinutes: v.optional(
      wholeNumber(
        30,
        720,
        'How long a run may take, counted from its scheduled time. Not longer than the downtime window; at the end of the window a run ends in any case.',
      ),
      120,
    ),
    ...gcEntries('A table of more than 10 million rows takes several calls.'),
    markRead: v.optional(markReadSchema),
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

const containerPath = (description: string) =>
  pattern(/^(\/[\w.+-]+)+$/, 'an absolute path of letters, digits and . _ + -', description);

function clientContainers(role: string, logs: string) {
  return field(
    v.strictObject({
      services: field(
        v.pipe(
          v.array(pattern(/^[\w-]{1,255}$/, 'the name of an ECS service', 'A service of the cluster.')),
          v.minLength(1),
        ),
        'a list of at least one name of an ECS service',
        `The services whose tasks are ${role}s.`,
      ),
      container: pattern(
        /^[\w-]{1,255}$/,
        "a container's name",
        "The container's name in their task definitions.",
      ),
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

const logCleanupSchema = field(
  v.strictObject({
    schedule: scheduleSchema,
    timeLimitMinutes: v.optional(
      wholeNumber(
        30,
        720,
        'How long a run may take, counted from its scheduled time. Not longer than the downtime window; at the end of the window a run ends in any case.',
      ),
      120,
    ),
    clusterName: pattern(/^[\w-]{1,255}$/, 'the name of an ECS cluster', "The client's cluster."),
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
      10,
    ),
    nearlyFullPercent: v.optional(
      wholeNumber(1, 50, 'An alarm rings when a log file system has less than this free, in percent.'),
      15,
    ),
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

function subnetSchema(description: string) {
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

const networkSchema = field(
  v.strictObject({
    vpcId: pattern(
      /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/,
      'a VPC id such as vpc-0123456789abcdef0',
      'The VPC from which WebApp can be reached.',
    ),
    subnets: field(
      v.pipe(v.array(subnetSchema('A private subnet of the VPC.')), v.minLength(1)),
      'a list of at least one { id, availabilityZone }, each in another zone',
      'Where the functions that reach WebApp stand. They get no public address.',
    ),
    securityGroupIds: field(
      v.pipe(v.array(securityGroupId), v.minLength(1), v.maxLength(5)),
      'a list of one to five security group ids',
      "The functions' security groups: let them out to WebApp's port and to 443.",
    ),
    endpoints: v.optional(
      field(
        v.picklist(['existing', 'create']),
        '"existing" or "create"',
        "How the functions reach AWS's own interfaces: `existing` ways (a NAT gateway, or endpoints that are there), or interface endpoints that the stack creates. Those take over the services' names in the whole VPC.",
      ),
      'existing',
    ),
    otherEndpointClients: v.optional(
      field(
        v.array(securityGroupId),
        'a list of security group ids',
        'With `endpoints: "create"`: the security groups of everything else in the VPC that calls the same services. What is not named can no longer reach them, for the endpoints answer to the services\' names.',
      ),
      [],
    ),
  }),
  'an object with "vpcId", "subnets" and "securityGroupIds"',
  'Where the functions that reach WebApp stand. Nothing is looked up.',
);

function secretSchema(description: string) {
  return v.strictObject({
    secretArn: pattern(
      /^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+-[a-zA-Z0-9]{6}$/,
      "the full ARN of a secret, with the six characters at its end, in the deployment's account and region",
      description,
    ),
    encryptionKeyArn: v.optional(
      pattern(
        /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]+$/,
        "the ARN of a KMS key in the deployment's region",
        "The key of the secret, if it is not the account's own for Secrets Manager.",
      ),
    ),
  });
}

const webAppSchema = field(
  v.strictObject({
    url: pattern(
      /^https:\/\/[a-zA-Z0-9.-]+(:\d{1,5})?\/?$/,
      'an https URL without a path, such as https://webapp.example.internal',
      'Where WebApp answers. Never plain http: a password travels on it.',
    ),
    certificateAuthority: field(
      v.pipe(v.string(), v.minLength(1)),
      'the path of a PEM file, relative to the configuration file or absolute',
      "The certificate to trust, and no other: the client's own (`GET /v1/certificates/external/ca` gives it), or that of the authority that signed it. At most 3 KB, for it goes into the function's environment.",
    ),
    serverName: v.optional(
      pattern(
        /^[a-zA-Z0-9*.-]+$/,
        'a host name',
        "The name in WebApp's certificate, where it is not the URL's host.",
      ),
    ),
    apiUser: field(
      secretSchema('JSON with `username` and `password` of a user of WebApp.'),
      'an object with "secretArn"',
      'The user that logs in to WebApp.',
    ),
  }),
  'an object with "url", "certificateAuthority" and "apiUser"',
  "The client's WebApp.",
);

const databaseSetSchema = v.strictObject({
  prefix: field(
    v.pipe(v.string(), v.maxLength(40)),
    'a text of at most 40 characters, "" for none',
    '`WA_DB_NAME_PREFIX`, which stands before the name of each database.',
  ),
  name: v.optional(
    pattern(
      /^[\w-]{1,40}$/,
      'at most 40 letters, digits, hyphens and underscores',
      'Names the metrics and alarms of these databases. Without it: the prefix without underscores and hyphens at its ends, or `default`.',
    ),
  ),
  engine: field(
    v.picklist(Object.keys(ENGINES) as Engine[]),
    `one of ${Object.keys(ENGINES).join(', ')}`,
    "The server's kind.",
  ),
  host: pattern(
    /^(?=.*[a-zA-Z])[a-zA-Z0-9.-]+$/,
    'a host name, not an address',
    "The server's name, which stands in its certificate.",
  ),
  port: wholeNumber(1, 65_535, "The server's port."),
  certificateAuthority: field(
    v.pipe(v.string(), v.minLength(1)),
    '"rds", or the path of a PEM file, relative to the configuration file or absolute',
    "What signed the server's certificate: `\"rds\"` for the authorities of Amazon RDS and Aurora. A file's certificates go into the function's environment, as those of WebApp do.",
  ),
  user: field(
    secretSchema(
      'JSON with `username` and `password` of a database user of its own, which needs no right to read a row: see docs/database-size.md for its grants.',
    ),
    'an object with "secretArn"',
    'The user that logs in to the server.',
  ),
  mediaDatabases: v.optional(
    field(
      v.array(pattern(/^[\w-]{1,40}$/, 'the name of a database, without the prefix', 'A database.')),
      'a list of names of databases, without the prefix',
      "Where the table `media` is looked for, which is in no documentation. `[]`: it is not watched. Without it: in all of the client's databases whose names are known.",
    ),
  ),
  idleTimeoutSeconds: v.optional(
    wholeNumber(
      1,
      86_400,
      '`WA_DB_CONNECTION_IDLE_TIMEOUT` / 1000: connections that are idle for longer are told. The user then needs a right to see those of others. Without it none is told.',
    ),
  ),
});

const relaySchema = field(
  v.strictObject({
    webhookUrl: secretField(
      v.pipe(v.string(), v.check(isWebhookUrl)),
      'an https URL without a user or fragment in it',
      'Your webhook, which the relay passes each callback to.',
    ),
    secretPathHashes: secretField(
      v.pipe(
        v.array(
          secretField(
            v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
            'the SHA-256 of the path in hexadecimal (64 digits, lower case), not the path',
            'A hash.',
          ),
        ),
        v.minLength(1),
        v.maxLength(2),
      ),
      'a list of one or two SHA-256 in hexadecimal',
      "The hash of the secret path at the end of the client's callback URL; two while one path replaces the other. `openssl rand -hex 32 | tee path.txt | tr -d '\\n' | sha256sum` makes a path and its hash.",
    ),
    certificateAuthority: v.optional(
      field(
        v.pipe(v.string(), v.minLength(1)),
        'the path of a PEM file, relative to the configuration file or absolute',
        "What signed the webhook's certificate, where that is no public authority.",
      ),
    ),
    webhookTimeoutSeconds: v.optional(
      wholeNumber(1, 300, 'After which the client is told that the webhook did not answer.'),
      20,
    ),
    maximumConcurrency: v.optional(
      wholeNumber(
        1,
        1000,
        "The most callbacks at once, taken from the account's concurrency. More than the client's `webhooks.max_concurrent_requests`, which is 24 at most.",
      ),
    ),
    inVpc: v.optional(
      field(
        v.boolean(),
        'true or false',
        "Whether the relay stands in the deployment's network, for a webhook that can be reached there only.",
      ),
      false,
    ),
  }),
  'an object with "webhookUrl" and "secretPathHashes"',
  "A URL to set as the client's callback URL, where the webhook itself cannot put callbacks on the bus: see docs/callback-relay.md.",
);

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
  'A volume to create, in a stack of its own, `upkeep-NAME-media`: encrypted as `encryption` says, kept when the stack is deleted.',
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

const mediaVolumeSchema = field(
  v.pipe(
    v.strictObject({
      create: v.optional(createdVolumeSchema),
      existing: v.optional(existingVolumeSchema),
      directory: v.optional(
        pattern(
          /^(\/[\w.-]+){1,4}$/,
          'an absolute path of one to four levels',
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

const jobsSchema = v.strictObject({
  messageGc: v.optional(messageGcSchema),
  mediaGc: v.optional(mediaGcSchema),
  databaseSize: v.optional(databaseSizeSchema),
  logCleanup: v.optional(logCleanupSchema),
});

const deploymentSchema = v.strictObject({
  name: pattern(
    DEPLOYMENT_NAME,
    'a lower-case letter, then at most 23 lower-case letters, digits and hyphens',
    'Begins the name of everything made for the deployment. Unique in the file, for names of runs are unique in an account and region.',
  ),
  account: pattern(/^\d{12}$/, 'an AWS account number of 12 digits, in quotes', 'The AWS account.'),
  region: pattern(
    /^[a-z]{2}(-[a-z]+)+-\d$/,
    'the name of an AWS region',
    'The AWS region: one with Lambda durable functions.',
  ),
  timeZone: field(
    v.pipe(v.string(), v.check(isTimeZone)),
    'an IANA time zone such as Europe/Berlin',
    'Of the downtime window and the schedules.',
  ),
  window: field(
    v.strictObject({
      from: localTime('The beginning.'),
      to: localTime('The end. Before `from`: on the next day.'),
    }),
    'an object with "from" and "to"',
    'The downtime window: the local hours of low outgoing volume. No run begins outside it, and each ends with it.',
  ),
  network: networkSchema,
  webApp: webAppSchema,
  callbacks: v.optional(
    field(
      v.strictObject({
        senders: v.optional(
          field(
            v.array(
              pattern(
                /^(\d{12}|arn:aws[a-z-]*:iam::\d{12}:(role|user)\/[\w+=,.@/-]+)$/,
                'the ARN of a role, or an account number',
                'A sender.',
              ),
            ),
            'a list of role ARNs and account numbers',
            "Who may put callbacks on the bus, by the bus's policy: the role of your webhook. A role named here must exist. Another way, in the bus's own account, is the policy that the stack prints, attached to the role.",
          ),
          [],
        ),
        relay: v.optional(relaySchema),
      }),
      'an object with "senders" or "relay"',
      "The client's callbacks, which your webhook puts on the stack's bus.",
    ),
    {},
  ),
  mediaVolume: v.optional(mediaVolumeSchema),
  databases: v.optional(
    field(
      v.pipe(v.array(databaseSetSchema), v.minLength(1)),
      'a list of at least one { prefix, engine, host, port, certificateAuthority, user }',
      "The client's databases: one entry for all that it named with one prefix.",
    ),
  ),
  encryption: v.optional(
    field(
      v.picklist(['aws', 'customer-managed']),
      '"aws" or "customer-managed"',
      'Keys that AWS owns, or a KMS key of the stack for its queues, logs, bus, environments and topic.',
    ),
    'aws',
  ),
  logRetentionDays: v.optional(
    field(
      v.picklist(LOG_RETENTION_DAYS),
      `one of the periods that CloudWatch Logs knows, in days: ${LOG_RETENTION_DAYS.join(', ')}`,
      'How long the logs are kept.',
    ),
    90,
  ),
  notifications: v.optional(notificationsSchema),
  jobs: field(
    jobsSchema,
    'an object with a job, such as "messageGc"',
    'The jobs; one that is not named does not run.',
  ),
});

/** The whole configuration. It says what each field allows; what no single field can say, by `checkDeployments`. */
export const configurationSchema = v.strictObject({
  notifications: v.optional(notificationsSchema, {}),
  additionalDurableRegions: v.optional(
    field(
      v.array(pattern(/^[a-z]{2}(-[a-z]+)+-\d$/, 'the name of an AWS region', 'A region.')),
      'a list of AWS regions',
      'Regions that got Lambda durable functions after the list here was written.',
    ),
    [],
  ),
  deployments: field(
    v.pipe(v.array(deploymentSchema), v.minLength(1)),
    'a list of at least one deployment',
    'The deployments, each with a stack of its own: any mix of accounts and regions.',
  ),
});

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    // Intl also takes offsets such as +01:00 and any case, which EventBridge Scheduler does not.
    return /^[A-Z][\w+-]*(\/[A-Z][\w+-]*)*$/.test(name);
  } catch {
    return false;
  }
}

export type JobName = keyof typeof jobsSchema.entries;
/** The jobs that a configuration can name. Each has a `schedule` and `timeLimitMinutes`. */
export const JOB_NAMES = Object.keys(jobsSchema.entries) as JobName[];

function isWebhookUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
}

export type ConfigurationOutput = v.InferOutput<typeof configurationSchema>;
export type DeploymentOutput = ConfigurationOutput['deployments'][number];
export type NotificationsOutput = ConfigurationOutput['notifications'];
