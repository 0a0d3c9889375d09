import { Duration } from 'aws-cdk-lib';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import type { IDatabaseCluster, IDatabaseInstance } from 'aws-cdk-lib/aws-rds';
import * as v from 'valibot';
import type { DatabaseAddress, Engine } from '../../functions/shared/database/contract/engine.ts';
import { COPY_ENCODINGS } from '../../functions/shared/database/credential/copy-template.ts';
import { type PasswordRules, randomPassword } from '../../functions/shared/database/credential/password.ts';
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
import type { Finding } from '../checks/mistakes.ts';
import {
  dailyScheduleProps,
  duration,
  jobNames,
  lessThanTimeLimit,
  misspelled,
  propertyNames,
  upkeepReference,
} from '../checks/props.ts';
import {
  copyPlaceFindings,
  replicaFindings,
  rolledServiceFindings,
  rotatedSecretProblems,
  strategyFindings,
} from '../checks/rotation.ts';
import { clusterFindings, clusterNameOf, clusterReference } from '../ecs-services.ts';
import { networkProps } from '../function-network.ts';
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

export function rotatedOf(props: CredentialRotationProps): Rotated {
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
      typeof service === 'string'
        ? { name: service }
        : isService(service)
          ? { name: service.serviceName, clusterName: service.cluster.clusterName }
          : service,
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

function isService(service: IBaseService | RotatedService | string): service is IBaseService {
  return typeof service === 'object' && service !== null && 'serviceName' in service;
}

/** All of them. */
export const ROTATION_NAMES = propertyNames<CredentialRotationProps>({
  upkeep: true,
  secret: true,
  database: true,
  strategy: true,
  administrator: true,
  password: true,
  acceptFailedLogins: true,
  cluster: true,
  services: true,
  copies: true,
  copiesAlarmName: true,
  network: true,
  schedule: true,
  timeLimit: true,
  rotateAfter: true,
  maximumAge: true,
  waitsFor: true,
  application: true,
  whenUnproven: true,
  rotationTimeout: true,
  steadyTimeout: true,
  replicas: true,
  retirementPatience: true,
});

const PASSWORD_NAMES = propertyNames<PasswordRules>({ length: true, alphabet: true, exclude: true });
const SERVICE_NAMES = propertyNames<RotatedService>({ name: true, clusterName: true, oneAtATime: true });
/** Of either kind. */
const COPY_NAMES = ['kind', 'name', 'keyId', 'keyArn', 'secretArn', 'key', 'template', 'encoding'];
const REPLICA_NAMES = ['host', 'port'];

/** Of the properties as they were given. */
export const ROTATION_PROPS = v.looseObject({
  upkeep: upkeepReference(),
  secret: secretReference('The secret that is rotated.'),
  administrator: v.optional(secretReference('That of who changes passwords.')),
  cluster: v.optional(clusterReference('The cluster.')),
  database: field(
    v.custom(isDatabaseOrAddress),
    'an object with "engine", "host", "port" and "certificateAuthority", or a database of RDS itself',
    'The database.',
  ),
  services: field(
    v.pipe(
      v.array(
        field(
          v.union([v.string(), v.looseObject({})]),
          'an ECS service, its name, or an object with "name"',
          'A service.',
        ),
      ),
      v.minLength(1),
      v.maxLength(50),
    ),
    'a list of 1 to 50 ECS services, or of their names',
    'The services.',
  ),
  strategy: field(
    v.looseObject({
      kind: field(
        v.picklist(['dual-password', 'alternating-users', 'single-password']),
        '"dual-password", "alternating-users" or "single-password"',
        'The strategy.',
      ),
      users: v.optional(
        field(
          v.pipe(v.array(field(v.string(), "a user's name", 'A user.')), v.length(2)),
          'a list of two users, such as ["shop_a", "shop_b"]',
          'Who alternate.',
        ),
      ),
    }),
    'an object with "kind"',
    'The strategy.',
  ),
  application: v.optional(
    field(
      v.looseObject({ entry: field(v.string(), 'the path of a file', 'The handler.') }),
      'an object with "entry" and "settings"',
      "The application's own part.",
    ),
  ),
  network: networkProps(),
  schedule: dailyScheduleProps('When it looks.'),
  timeLimit: duration(Duration.minutes(1), Duration.days(1)),
  waitsFor: v.optional(jobNames('For whose end it waits.')),
  rotateAfter: v.optional(duration(Duration.days(1), Duration.days(365), 86_400)),
  maximumAge: v.optional(duration(Duration.days(2), Duration.days(400), 86_400)),
  rotationTimeout: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
  steadyTimeout: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
  replicas: v.optional(
    field(
      v.array(
        v.looseObject({ host: hostName('Its name.'), port: v.optional(port("If it is not the server's.")) }),
      ),
      'a list of { host }',
      'Read replicas.',
    ),
  ),
  retirementPatience: v.optional(duration(Duration.minutes(1), Duration.hours(12))),
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
});

/** Of what they mean. */
export const ROTATED = v.looseObject({
  database: v.looseObject({
    engine: engine("The server's kind."),
    host: hostName("The server's name."),
    port: port("The server's port."),
    certificateAuthority: field(
      v.pipe(
        v.string(),
        v.check((text) => text === 'rds' || text.includes('-----BEGIN CERTIFICATE-----')),
      ),
      '"rds" or PEM, the text of a certificate and not the name of its file',
      'What signed its certificate.',
    ),
  }),
  services: v.array(
    v.looseObject({
      name: serviceName('A service.'),
      clusterName: v.optional(clusterName('Its cluster.')),
    }),
  ),
});

/** A proxy has security groups too, and is no database. */
function isDatabaseOrAddress(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return !('connections' in value) || 'clusterEndpoint' in value || 'instanceEndpoint' in value;
}

/** What no single property can say. */
export function rotationFindings(props: CredentialRotationProps, rotated: Rotated): Finding[] {
  const { upkeep, secret, administrator, cluster, services, strategy, password = {}, timeLimit } = props;
  const rotateAfter = props.rotateAfter ?? DEFAULT_ROTATE_AFTER;
  const { maximumAge } = props;
  return [
    ...partialSecretFindings([
      { field: ['secret'], secret },
      { field: ['administrator'], secret: administrator },
    ]),
    ...rotatedSecretProblems(rotated.secretArn).map((problem) => ({ field: ['secret'], problem })),
    ...strategyFindings({
      engine: rotated.database.engine,
      strategy,
      acceptFailedLogins: props.acceptFailedLogins ?? false,
      hasAdministrator: administrator !== undefined,
    }),
    ...replicaFindings(strategy.kind, props.replicas),
    ...copyFindings(rotated.secretArn, props.copies),
    ...misspelled(password, PASSWORD_NAMES, ['password']),
    ...services.flatMap((service, index) => misspelled(service, SERVICE_NAMES, ['services', index])),
    ...(props.copies ?? []).flatMap((copy, index) => misspelled(copy, COPY_NAMES, ['copies', index])),
    ...(props.replicas ?? []).flatMap((each, index) => misspelled(each, REPLICA_NAMES, ['replicas', index])),
    ...passwordFindings(password),
    ...(services.every(
      (service) => typeof service !== 'string' && (isService(service) || service.clusterName),
    )
      ? []
      : clusterFindings(cluster, [])),
    ...rolledServiceFindings(
      rotated.services.map(({ name }, index) => ({ field: ['services', index, 'name'], name })),
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
