import { Duration } from 'aws-cdk-lib';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import type { IDatabaseCluster, IDatabaseInstance } from 'aws-cdk-lib/aws-rds';
import * as v from 'valibot';
import type { DatabaseAddress, Engine } from '../../functions/shared/database/contract/engine.ts';
import { COPY_ENCODINGS } from '../../functions/shared/database/credential/copy-template.ts';
import { randomPassword } from '../../functions/shared/database/credential/password.ts';
import {
  clusterName,
  engine,
  field,
  hostName,
  pattern,
  port,
  secretArn,
  serviceName,
} from '../checks/fields.ts';
import type { FieldPath, Finding } from '../checks/mistakes.ts';
import { duration, lessThanTimeLimit } from '../checks/props.ts';
import {
  copyPlaceFindings,
  replicaFindings,
  rolledServiceFindings,
  rotatedSecretProblems,
  strategyFindings,
} from '../checks/rotation.ts';
import { clusterFindings, clusterNameOf, clusterReference } from '../ecs-services.ts';
import { partialSecretFindings, secretReference } from '../secret-reference.ts';
import type { CredentialRotationProps, RotatedService } from './credential-rotation-props.ts';
import { maximumServiceNameLength } from './stopped-alarm-name.ts';

/** What the properties of a rotation mean, by names and ARNs: tokens of the CDK, where these are known later. */
export interface Rotated {
  readonly secretArn: string;
  readonly secretKeyArn: string | undefined;
  readonly adminSecretArn: string | undefined;
  readonly adminSecretKeyArn: string | undefined;
  readonly database: DatabaseAddress;
  readonly clusterName: string;
  readonly services: RotatedService[];
}

export const DEFAULT_ROTATE_AFTER = Duration.days(30);
export const DEFAULT_ROTATION_TIMEOUT = Duration.minutes(15);
export const DEFAULT_STEADY_TIMEOUT = Duration.minutes(20);
/** Longer than pgbouncer's `server_idle_timeout` is by default. */
export const DEFAULT_RETIREMENT_PATIENCE = Duration.minutes(15);

function rotatedOf(props: CredentialRotationProps): Rotated {
  const { secret, administrator, database, cluster, services } = props;
  const themselves = services.flatMap((service) => (isService(service) ? service : []));
  return {
    secretArn: secret.secretFullArn ?? '',
    secretKeyArn: secret.encryptionKey?.keyArn,
    adminSecretArn: administrator && (administrator.secretFullArn ?? ''),
    adminSecretKeyArn: administrator?.encryptionKey?.keyArn,
    database: addressOf(database),
    clusterName: clusterNameOf(cluster, themselves),
    services: services.map((service) =>
      isService(service) ? { name: service.serviceName, clusterName: service.cluster.clusterName } : service,
    ),
  };
}

/** Where a database of the CDK listens; that of RDS is proven by the authorities of RDS. */
function addressOf(database: DatabaseAddress | IDatabaseInstance | IDatabaseCluster): DatabaseAddress {
  if (!isDatabase(database)) return database;
  const endpoint = 'clusterEndpoint' in database ? database.clusterEndpoint : database.instanceEndpoint;
  return {
    // Another kind than these is refused by the check.
    engine: database.engine?.engineType as Engine,
    host: endpoint.hostname,
    port: endpoint.port,
    certificateAuthority: 'rds',
  };
}

/** Whether it is a database of the CDK, whose network is known. */
export function isDatabase(
  database: DatabaseAddress | IDatabaseInstance | IDatabaseCluster,
): database is IDatabaseInstance | IDatabaseCluster {
  return typeof database === 'object' && database !== null && 'connections' in database;
}

function isService(service: IBaseService | RotatedService): service is IBaseService {
  return typeof service === 'object' && service !== null && 'serviceName' in service;
}

/** With the deployment's name and what it does it makes a function's name, of at most 64 characters. */
const CREDENTIAL_NAME = /^[a-z][a-z0-9-]{0,21}$/;
const CREDENTIAL_NAMES = 'a lower-case letter, then at most 21 lower-case letters, digits and hyphens';

/** Of one credential, as it was given. */
const CREDENTIAL_ENTRIES = {
  secret: secretReference('The secret that is rotated.'),
  administrator: v.optional(secretReference('That of who changes passwords.')),
  database: field(
    v.looseObject({}),
    'an object with "engine", "host", "port" and "certificateAuthority", or a database of RDS itself',
    'The database.',
  ),
  strategy: field(
    v.looseObject({
      kind: field(
        v.picklist(['dual-password', 'alternating-users', 'single-password']),
        '"dual-password", "alternating-users" or "single-password"',
        'The strategy.',
      ),
    }),
    'an object with "kind"',
    'The strategy.',
  ),
  replicas: v.optional(
    field(
      v.array(
        v.looseObject({ host: hostName('Its name.'), port: v.optional(port("If it is not the server's.")) }),
      ),
      'a list of { host }',
      'Read replicas.',
    ),
  ),
  whenUnproven: v.optional(
    field(v.picklist(['keep', 'retire']), '"keep" or "retire"', 'What becomes of the old credential.'),
  ),
  copies: v.optional(
    field(
      v.array(
        v.looseObject({
          kind: field(v.picklist(['parameter', 'secret']), '"parameter" or "secret"', 'What it is.'),
          name: v.optional(pattern(/^[\w./-]{1,1011}$/, 'the name of a parameter', 'Of a parameter.')),
          secretArn: v.optional(secretArn('Of a secret.')),
          key: v.optional(field(v.pipe(v.string(), v.nonEmpty()), 'a text', 'Of a secret.')),
          template: v.optional(
            pattern(
              /\{(username|password)\}/,
              'a text with {username} or {password} in it',
              'What is written there.',
            ),
          ),
          encoding: v.optional(
            field(
              v.picklist(COPY_ENCODINGS),
              `one of ${COPY_ENCODINGS.map((name) => `"${name}"`).join(', ')}`,
              'For whom.',
            ),
          ),
        }),
      ),
      'a list of { kind: "parameter", name } and { kind: "secret", secretArn, key }',
      'Where else the credential is kept.',
    ),
  ),
};

/** Of the properties as they were given. */
export const ROTATION_PROPS = v.looseObject({
  ...CREDENTIAL_ENTRIES,
  cluster: v.optional(clusterReference('The cluster.')),
  services: field(
    v.pipe(v.array(v.looseObject({})), v.minLength(1), v.maxLength(50)),
    'a list of 1 to 50 ECS services, or of { name }',
    'The services.',
  ),
  rotateAfter: v.optional(duration(Duration.days(1), Duration.days(365), 86_400)),
  maximumAge: v.optional(duration(Duration.days(2), Duration.days(400), 86_400)),
  rotationTimeout: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
  steadyTimeout: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
  retirementPatience: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
  name: v.optional(pattern(CREDENTIAL_NAME, CREDENTIAL_NAMES, "This credential's name.")),
  others: v.optional(
    field(
      v.record(v.string(), v.looseObject(CREDENTIAL_ENTRIES)),
      'an object of credentials, each by its name',
      'Other credentials.',
    ),
  ),
});

const DATABASE = v.looseObject({
  engine: engine("The server's kind."),
  host: hostName("The server's name."),
  port: port("The server's port."),
  certificateAuthority: field(
    v.pipe(v.string(), v.nonEmpty()),
    '"rds" or PEM',
    'What signed its certificate.',
  ),
});

/** Of what they mean. */
export const ROTATED = v.looseObject({
  database: DATABASE,
  others: v.optional(v.record(v.string(), v.looseObject({ database: DATABASE }))),
  services: v.array(
    v.looseObject({
      name: serviceName('A service.'),
      clusterName: v.optional(clusterName('Its cluster.')),
    }),
  ),
});

/** What no single property can say. */
export function rotationFindings(
  props: CredentialRotationProps,
  credentials: readonly Credential[],
): Finding[] {
  const { upkeep, cluster, services, timeLimit, others = {} } = props;
  const rotateAfter = props.rotateAfter ?? DEFAULT_ROTATE_AFTER;
  const { maximumAge } = props;
  const [first] = credentials;
  const rotatedServices = first?.rotated.services ?? [];
  return [
    ...credentials.flatMap((each) =>
      credentialFindings(each).map(({ field, problem }) => ({ field: [...each.path, ...field], problem })),
    ),
    ...(props.name && !props.others
      ? [
          {
            field: ['name'],
            problem: 'is of one of several credentials; it must be left out without others.',
          },
        ]
      : []),
    ...Object.keys(others).flatMap((name) => otherFindings(name, credentials)),
    ...rotatedServices.flatMap(({ reads = [] }, index) => {
      const names = credentials.flatMap(({ name }) => name ?? []);
      const unknown = reads.find((name) => !names.includes(name));
      return unknown === undefined
        ? []
        : [
            {
              field: ['services', index, 'reads'],
              problem: `names "${unknown}", which is no credential here; it must be of ${names.join(', ') || 'none, for there is only one'}.`,
            },
          ];
    }),
    ...(services.every((service) => isService(service) || service.clusterName)
      ? []
      : clusterFindings(cluster, [])),
    ...rolledServiceFindings(
      rotatedServices.map(({ name }, index) => ({ field: ['services', index, 'name'], name })),
      maximumServiceNameLength(upkeep.deployment),
    ),
    ...(maximumAge && maximumAge.toDays() <= rotateAfter.toDays()
      ? [
          {
            field: ['maximumAge'],
            problem: `is ${maximumAge.toHumanString()}; it must be more than the ${rotateAfter.toHumanString()} of rotateAfter.`,
          },
        ]
      : []),
    ...lessThanTimeLimit('rotationTimeout', props.rotationTimeout ?? DEFAULT_ROTATION_TIMEOUT, timeLimit),
    ...lessThanTimeLimit('steadyTimeout', props.steadyTimeout ?? DEFAULT_STEADY_TIMEOUT, timeLimit),
    ...lessThanTimeLimit(
      'retirementPatience',
      props.retirementPatience ?? DEFAULT_RETIREMENT_PATIENCE,
      timeLimit,
    ),
  ];
}

/** One of the credentials. */
export interface Credential {
  /** Undefined where there is only one. */
  readonly name: string | undefined;
  /** The field that it is given by. */
  readonly path: FieldPath;
  /** As if it were the only one. */
  readonly props: CredentialRotationProps;
  readonly rotated: Rotated;
}

const DEFAULT_NAME = 'database';

/** In the order in which they are rotated. */
export function credentialsOf(props: CredentialRotationProps): Credential[] {
  const { others = {}, name = DEFAULT_NAME, ...first } = props;
  const {
    secret,
    database,
    strategy,
    administrator,
    password,
    acceptFailedLogins,
    copies,
    replicas,
    whenUnproven,
    ...shared
  } = first;
  const each = Object.entries(others).map(([name, other]) => {
    const own = { ...shared, ...other };
    return { name, path: ['others', name], props: own, rotated: rotatedOf(own) };
  });
  return [
    { name: each.length > 0 ? name : undefined, path: [], props: first, rotated: rotatedOf(first) },
    ...each,
  ];
}

/** Of one that is given by its name, beside the others. */
function otherFindings(name: string, credentials: readonly Credential[]): Finding[] {
  const field = ['others', name];
  const own = credentials.find(({ path }) => path[1] === name);
  const twin = credentials.find(
    (each) =>
      each !== own && each.rotated.secretArn === own?.rotated.secretArn && each.rotated.secretArn !== '',
  );
  return [
    ...(CREDENTIAL_NAME.test(name)
      ? []
      : [{ field, problem: `has a name that cannot be one of a function; it must be ${CREDENTIAL_NAMES}.` }]),
    ...(credentials.some((each) => each !== own && each.name === name)
      ? [{ field, problem: 'has the name of the first credential; one of them must have another.' }]
      : []),
    ...(twin
      ? [{ field: [...field, 'secret'], problem: 'is rotated here already; it must be left out.' }]
      : []),
  ];
}

/** What is wrong with one credential by itself. */
function credentialFindings({
  props: { secret, administrator, strategy, password = {}, acceptFailedLogins = false, ...props },
  rotated,
}: Credential): Finding[] {
  return [
    ...partialSecretFindings([
      { field: ['secret'], secret },
      { field: ['administrator'], secret: administrator },
    ]),
    ...rotatedSecretProblems(rotated.secretArn).map((problem) => ({ field: ['secret'], problem })),
    ...strategyFindings({
      engine: rotated.database.engine,
      strategy,
      acceptFailedLogins,
      hasAdministrator: administrator !== undefined,
    }),
    ...replicaFindings(strategy.kind, props.replicas),
    ...copyFindings(rotated.secretArn, props.copies),
    ...passwordFindings(password),
  ];
}

function copyFindings(rotatedSecretArn: string, copies: CredentialRotationProps['copies'] = []): Finding[] {
  const missing = copies.flatMap((copy, index) => {
    const needed = copy.kind === 'parameter' ? (['name'] as const) : (['secretArn', 'key'] as const);
    return needed.flatMap((name) =>
      name in copy
        ? []
        : [
            {
              field: ['copies', index, name],
              problem: `is missing; a copy of the kind "${copy.kind}" needs it.`,
            },
          ],
    );
  });
  const places = copies.map((copy, index) =>
    copy.kind === 'parameter'
      ? { field: ['copies', index, 'name'], place: copy.name }
      : { field: ['copies', index, 'secretArn'], place: `${copy.secretArn} ${copy.key}` },
  );
  return missing.length > 0 ? missing : copyPlaceFindings(rotatedSecretArn, places);
}

function passwordFindings(password: NonNullable<CredentialRotationProps['password']>): Finding[] {
  try {
    randomPassword(password);
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [{ field: ['password'], problem: `leaves nothing to draw from: ${reason}` }];
  }
}
