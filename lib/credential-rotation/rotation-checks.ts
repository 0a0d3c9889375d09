import { Duration } from 'aws-cdk-lib';
import * as v from 'valibot';
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
import { clusterFindings, clusterReference } from '../ecs-services.ts';
import { networkProps } from '../function-network.ts';
import { partialSecretFindings, secretReference } from '../secret-reference.ts';
import type {
  CredentialRotationProps,
  OtherCredential,
  RotatedService,
} from './credential-rotation-props.ts';
import {
  type Credential,
  DEFAULT_RETIREMENT_PATIENCE,
  DEFAULT_ROTATE_AFTER,
  DEFAULT_ROTATION_TIMEOUT,
  DEFAULT_STEADY_TIMEOUT,
  isService,
} from './rotated.ts';
import { maximumServiceNameLength } from './stopped-alarm-name.ts';

/** With the deployment's name and what it does it makes a function's name, of at most 64 characters. */
const CREDENTIAL_NAME = /^[a-z][a-z0-9-]{0,21}$/;
const CREDENTIAL_NAMES = 'a lower-case letter, then at most 21 lower-case letters, digits and hyphens';

/** Of one credential, as it was given. */
const CREDENTIAL_ENTRIES = {
  secret: secretReference('The secret that is rotated.'),
  administrator: v.optional(secretReference('That of who changes passwords.')),
  database: field(
    v.custom(isDatabaseOrAddress),
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

/** All of them. */
export const ROTATION_NAMES = propertyNames<CredentialRotationProps>({
  upkeep: true,
  secret: true,
  database: true,
  strategy: true,
  administrator: true,
  others: true,
  name: true,
  password: true,
  acceptFailedLogins: true,
  cluster: true,
  services: true,
  copies: true,
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

const OTHER_NAMES = propertyNames<OtherCredential>({
  secret: true,
  database: true,
  strategy: true,
  administrator: true,
  password: true,
  acceptFailedLogins: true,
  copies: true,
  replicas: true,
  whenUnproven: true,
});
const PASSWORD_NAMES = propertyNames<PasswordRules>({ length: true, alphabet: true, exclude: true });
const SERVICE_NAMES = propertyNames<RotatedService>({
  name: true,
  clusterName: true,
  oneAtATime: true,
  reads: true,
});
/** Of either kind. */
const COPY_NAMES = ['kind', 'name', 'keyId', 'keyArn', 'secretArn', 'key', 'template', 'encoding'];
const REPLICA_NAMES = ['host', 'port'];

/** Of the properties as they were given. */
export const ROTATION_PROPS = v.looseObject({
  upkeep: upkeepReference(),
  ...CREDENTIAL_ENTRIES,
  cluster: v.optional(clusterReference('The cluster.')),
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
    v.pipe(
      v.string(),
      v.check((text) => text === 'rds' || text.includes('-----BEGIN CERTIFICATE-----')),
    ),
    '"rds" or PEM, the text of a certificate and not the name of its file',
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
      reads: v.optional(
        field(
          v.array(field(v.string(), 'the name of a credential', 'A credential.')),
          'a list of names of credentials',
          'Which of them it reads.',
        ),
      ),
    }),
  ),
});

/** A proxy has security groups too, and is no database. */
function isDatabaseOrAddress(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return !('connections' in value) || 'clusterEndpoint' in value || 'instanceEndpoint' in value;
}

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
    ...Object.entries(others).flatMap(([name, other]) => misspelled(other, OTHER_NAMES, ['others', name])),
    ...services.flatMap((service, index) => misspelled(service, SERVICE_NAMES, ['services', index])),
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
    ...(services.every(
      (service) => typeof service !== 'string' && (isService(service) || service.clusterName),
    )
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
    ...misspelled(password, PASSWORD_NAMES, ['password']),
    ...(props.copies ?? []).flatMap((copy, index) => misspelled(copy, COPY_NAMES, ['copies', index])),
    ...(props.replicas ?? []).flatMap((each, index) => misspelled(each, REPLICA_NAMES, ['replicas', index])),
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
