import { Duration } from 'aws-cdk-lib';
import * as v from 'valibot';
import { clusterName, engine, field, hostName, pattern, port, serviceName } from '../checks/fields.ts';
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
import { rolledServiceFindings } from '../checks/rotation.ts';
import { clusterFindings, clusterReference } from '../ecs-services.ts';
import { networkProps } from '../function-network.ts';
import { CREDENTIAL_ENTRIES, credentialFindings } from './credential-checks.ts';
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
const SERVICE_NAMES = propertyNames<RotatedService>({
  name: true,
  clusterName: true,
  oneAtATime: true,
  reads: true,
});

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
    ...(props.name && Object.keys(others).length === 0
      ? [
          {
            field: ['name'],
            problem: 'is of one of several credentials; it must be left out without others.',
          },
        ]
      : []),
    ...Object.entries(others).flatMap(([name, other]) => otherFindings(name, other, credentials)),
    ...services.flatMap((service, index) => misspelled(service, SERVICE_NAMES, ['services', index])),
    ...readerFindings(rotatedServices, credentials),
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
function otherFindings(name: string, other: OtherCredential, credentials: readonly Credential[]): Finding[] {
  const field = ['others', name];
  const own = credentials.find(({ path }) => path[1] === name);
  const twin = credentials.find(
    (each) =>
      each !== own && each.rotated.secretArn === own?.rotated.secretArn && each.rotated.secretArn !== '',
  );
  return [
    ...misspelled(other, OTHER_NAMES, field),
    ...Object.keys(other)
      .filter((each) => ROTATION_NAMES.includes(each) && !OTHER_NAMES.includes(each))
      .map((each) => ({
        field: [...field, each],
        problem: 'is of all credentials together; it must be given beside others.',
      })),
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

/** Of which service reads which credential. */
function readerFindings(services: readonly RotatedService[], credentials: readonly Credential[]): Finding[] {
  const names = credentials.flatMap(({ name }) => name ?? []);
  const unread = names.filter((name) => services.every(({ reads }) => reads && !reads.includes(name)));
  return [
    ...services.flatMap(({ reads }, index): Finding[] => {
      const field = ['services', index, 'reads'];
      const unknown = reads?.find((name) => !names.includes(name));
      if (unknown !== undefined)
        return [
          {
            field,
            problem: `names "${unknown}", which is no credential here; it must be of ${names.join(', ') || 'none, for there is only one'}.`,
          },
        ];
      return reads?.length === 0
        ? [{ field, problem: 'is an empty list: the service reads no credential; it must be left out.' }]
        : [];
    }),
    ...(unread.length > 0
      ? [
          {
            field: ['services'],
            problem: `read nothing of ${unread.join(', ')}; each credential must be read by one of them at least.`,
          },
        ]
      : []),
  ];
}
