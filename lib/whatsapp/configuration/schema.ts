import * as v from 'valibot';
import {
  deploymentName,
  downtimeWindow,
  emails,
  engine,
  field,
  hostName,
  pattern,
  port,
  timeZone,
  wholeNumber,
} from '../../checks/fields.ts';
import { secretPathHashes, webhookUrl } from '../../checks/relay.ts';
import {
  callbackSender,
  databaseNames,
  databasePrefix,
  databaseSetName,
  MAXIMUM_SETS,
  secretSchema,
  securityGroupId,
  subnetSchema,
  webAppUrl,
} from './fields.ts';
import { jobsSchema } from './jobs-schema.ts';
import { mediaVolumeSchema } from './media-volume-schema.ts';
import { upgradeCheckSchema } from './upgrade-check-schema.ts';

/** Days that CloudWatch Logs can keep a log for, up to ten years. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const notificationsSchema = field(
  v.pipe(
    v.strictObject({
      emails: v.optional(
        emails(
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
      silent: v.optional(
        field(
          v.literal(true),
          'true',
          'Says that nobody is to be told of alarms: they go to a topic of the stack, to which one can subscribe later.',
        ),
      ),
    }),
    v.check(
      ({ emails, topicArn, silent }) =>
        [emails, topicArn, silent].filter((told) => told !== undefined).length === 1,
    ),
  ),
  'an object with either "emails" or "topicArn", or with silent: true',
  'Where the alarms go.',
);

/** Lambda's limit on a function. */
const MAXIMUM_SUBNETS = 16;

const networkSchema = field(
  v.strictObject({
    vpcId: pattern(
      /^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/,
      'a VPC id such as vpc-0123456789abcdef0',
      'The VPC from which WebApp can be reached.',
    ),
    subnets: field(
      v.pipe(
        v.array(subnetSchema('A private subnet of the VPC.')),
        v.minLength(1),
        v.maxLength(MAXIMUM_SUBNETS),
      ),
      `a list of 1 to ${MAXIMUM_SUBNETS} { id, availabilityZone }, each in another zone`,
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
        "How the functions reach AWS's own interfaces: `existing` ways (a NAT gateway, or endpoints that are there), or interface endpoints that the stack creates. Those take over the services' names in the whole VPC, and let only requests pass that are signed with credentials of the deployment's account.",
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

const webAppSchema = field(
  v.strictObject({
    url: webAppUrl('Where WebApp answers. Never plain http: a password travels on it.'),
    certificateAuthority: field(
      v.pipe(v.string(), v.minLength(1)),
      'the path of a PEM file, relative to the configuration file or absolute',
      "The certificate to trust, and no other: the client's own (`GET /v1/certificates/external/ca` gives it), or that of the authority that signed it. At most 3 KB, for it goes into the function's environment.",
    ),
    serverName: v.optional(hostName("The name in WebApp's certificate, where it is not the URL's host.")),
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
  prefix: databasePrefix(),
  name: v.optional(databaseSetName()),
  engine: engine("The server's kind."),
  host: hostName("The server's name, which stands in its certificate."),
  port: port("The server's port."),
  certificateAuthority: field(
    v.pipe(v.string(), v.minLength(1)),
    '"rds", or the path of a PEM file, relative to the configuration file or absolute',
    "What signed the server's certificate: `\"rds\"` for the authorities of Amazon RDS and Aurora. A file's certificates go into the function's environment, as those of WebApp do.",
  ),
  user: v.optional(
    field(
      secretSchema(
        'JSON with `username` and `password` of a database user of its own, which needs no right to read a row: see docs/database-size.md for its grants.',
      ),
      'an object with "secretArn"',
      'The user that logs in to the server to look at sizes. Needed by `databaseSize` and `upgradeCheck`; without it `messageGc` tells no rows of these databases.',
    ),
  ),
  mediaDatabases: v.optional(databaseNames()),
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
    webhookUrl: webhookUrl('Your webhook, which the relay passes each callback to.'),
    secretPathHashes: secretPathHashes(
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

const deploymentSchema = v.strictObject({
  name: deploymentName(
    'Begins the name of everything made for the deployment. Unique in the file, for names of runs are unique in an account and region.',
  ),
  account: pattern(/^\d{12}$/, 'an AWS account number of 12 digits, in quotes', 'The AWS account.'),
  region: pattern(
    /^[a-z]{2}(-[a-z]+)+-\d$/,
    'the name of an AWS region',
    'The AWS region: one with Lambda durable functions.',
  ),
  timeZone: timeZone('Of the downtime window and the schedules.'),
  window: downtimeWindow(
    'The downtime window: the local hours of low outgoing volume. No run that changes something begins outside it, and each ends with it.',
  ),
  network: networkSchema,
  webApp: webAppSchema,
  callbacks: v.optional(
    field(
      v.strictObject({
        senders: v.optional(
          field(
            v.array(callbackSender()),
            'a list of role ARNs and numbers of other accounts',
            "Who may put callbacks on the bus, by the bus's policy: the role of your webhook. A role named here must exist. Another account decides by policies of its own who of it may. Another way, in the bus's own account, is the policy that the stack prints, attached to the role.",
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
      v.pipe(v.array(databaseSetSchema), v.minLength(1), v.maxLength(MAXIMUM_SETS)),
      `a list of 1 to ${MAXIMUM_SETS} { prefix, engine, host, port, certificateAuthority }`,
      "The client's databases: one entry for all that it named with one prefix.",
    ),
  ),
  upgradeCheck: v.optional(upgradeCheckSchema),
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
  notifications: v.optional(notificationsSchema),
  dashboards: v.optional(
    field(
      v.boolean(),
      'true or false',
      'Whether each deployment gets a CloudWatch dashboard, and each account of two deployments and more one over all. Free are the first three of an account that show at most 50 metrics each: see docs/cost.md.',
    ),
    false,
  ),
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

export type ConfigurationOutput = v.InferOutput<typeof configurationSchema>;
export type DeploymentOutput = ConfigurationOutput['deployments'][number];
export type NotificationsOutput = NonNullable<ConfigurationOutput['notifications']>;
