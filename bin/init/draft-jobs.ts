import type { UpkeepConfiguration } from '../../lib/whatsapp/configuration/configuration.ts';
import type { Answers } from './answers.ts';
import { type ClientContainer, ROLES, type Role } from './client-containers.ts';
import type { Discovery } from './discovery.ts';
import type { PlannedRun } from './schedules.ts';
import { createSecret, keyOf, secretField } from './secret-fields.ts';
import { secretOf } from './secrets.ts';
import type { Surroundings } from './surroundings.ts';

type Deployment = UpkeepConfiguration['deployments'][number];

/** The services of each role that has containers, with the name that the container has in most of them. */
function byRole(
  containers: ClientContainer[],
): Partial<Record<Role, { services: string[]; container: string; left: string[] }>> {
  return Object.fromEntries(
    ROLES.flatMap((role) => {
      const own = containers.filter((each) => each.role === role);
      const names = [...new Set(own.map(({ container }) => container.name ?? ''))];
      const count = (name: string) => own.filter(({ container }) => container.name === name).length;
      const [container, ...left] = names.toSorted((one, other) => count(other) - count(one));
      if (container === undefined) return [];
      const services = own.filter((each) => each.container.name === container).map(({ of }) => of.name);
      return [[role, { services: [...new Set(services)].sort(), container, left }]];
    }),
  );
}

type LogCleanup = NonNullable<Deployment['jobs']['logCleanup']>;

export function draftLogCleanup(
  around: Surroundings,
  { containers, clusterName = '', sessionKeyArn }: Discovery,
  { instancesTag }: Answers,
): Omit<LogCleanup, 'schedule' | 'timeLimitMinutes'> {
  const roles = byRole(containers);
  for (const [role, { left, container }] of Object.entries(roles))
    if (left.length > 0)
      around.note(
        'to do',
        `Containers of the role ${role} are called ${container}, and others ${left.join(', ')}: logCleanup takes one name for each role, and leaves out the others.`,
      );
  const without = [
    ...new Set(containers.filter(({ of }) => !of.service.enableExecuteCommand).map(({ of }) => of.name)),
  ];
  if (without.length > 0 && !instancesTag)
    around.note(
      'to do',
      `ECS Exec is not enabled in ${without.join(', ')}, and logCleanup reaches containers by it. Enable it in each; or, for tasks on EC2, have Run Command reach their instances (--instances-tag KEY=VALUE):\naws ecs update-service --cluster ${clusterName} --service SERVICE --enable-execute-command --force-new-deployment`,
    );
  if (instancesTag)
    around.note(
      'to do',
      'Run Command reaches the containers by their instances: these need AWS Systems Manager’s agent, and its rights in the instance role (the managed policy AmazonSSMManagedInstanceCore).',
    );
  return {
    clusterName,
    roles: Object.fromEntries(
      Object.entries(roles).map(([role, { services, container }]) => [role, { services, container }]),
    ),
    ...(instancesTag
      ? { runCommand: instancesTag }
      : sessionKeyArn !== undefined && { sessionEncryptionKeyArn: sessionKeyArn }),
  };
}

type Rotation = NonNullable<Deployment['jobs']['credentialRotation']>;

export function draftRotation(
  around: Surroundings,
  found: Discovery,
  { name, credential }: Answers,
  comments: Record<string, string>,
): Omit<Rotation, 'schedule' | 'timeLimitMinutes'> {
  const { containers, clusterName = '', databases, metaTemplate, secrets } = found;
  const password = databases?.password;
  const own = password?.kind === 'secret' ? secretOf(password.id, secrets) : undefined;
  const secret = credential ?? own;
  if (!secret) {
    comments['jobs.credentialRotation.secret'] = 'Not there yet: put its ARN here.';
    around.note(
      'missing',
      `A secret with the client's own database user, to be rotated, as JSON {"username": …, "password": …} with what the containers log in with now:\n${createSecret(found, name, 'database', '--credential-secret')}`,
    );
  }
  const services = byRole(containers);
  const monitoring = metaTemplate?.monitoring?.services.length ? metaTemplate.monitoring : undefined;
  const copied = password?.kind === 'parameter' && !metaTemplate ? password.name : undefined;
  return {
    secret: secretField(found, name, 'database', secret),
    strategy: { kind: 'dual-password' },
    clusterName,
    services: {
      ...Object.fromEntries(Object.entries(services).map(([role, each]) => [role, each.services])),
      ...(monitoring && { others: monitoring.services }),
    },
    ...(metaTemplate?.encryptionKeyArn !== undefined && {
      metaTemplate: {
        stackName: metaTemplate.stackName,
        encryptionKeyArn: metaTemplate.encryptionKeyArn,
        ...(monitoring && {
          monitoring: {
            secretArn: monitoring.secretArn,
            ...keyOf(secretOf(monitoring.secretArn, secrets)),
          },
        }),
      },
    }),
    ...(copied !== undefined && {
      copies: {
        parameters: [
          {
            name: copied,
            ...(databases?.passwordKeyArn !== undefined && { encryptionKeyArn: databases.passwordKeyArn }),
          },
        ],
      },
    }),
  };
}

/** What it is to expect or to set nobody but a person knows: it reads and reports. */
export function draftApplicationSettings(
  around: Surroundings,
  found: Discovery,
  { name, jobs, administrator }: Answers,
  comments: Record<string, string>,
  run: PlannedRun,
): Pick<Deployment['jobs'], 'applicationSettings'> {
  if (!jobs.includes('applicationSettings')) {
    around.note(
      'taken',
      "Nothing looks at WebApp's own settings: it shows them to administrators only. --administrator-secret names the secret of one, docs/application-settings.md says what for.",
    );
    return {};
  }
  if (!administrator) {
    comments['jobs.applicationSettings.administrator'] = 'Not there yet: put its ARN here.';
    around.note(
      'missing',
      `A secret with an administrator of WebApp, as JSON {"username": …, "password": …}, which application-settings alone reads:\n${createSecret(found, name, 'administrator', '--administrator-secret')}`,
    );
  }
  around.note(
    'taken',
    "WebApp's own settings are read and reported: what they are to be, expected and settings of applicationSettings say (docs/application-settings.md).",
  );
  return {
    applicationSettings: {
      ...run,
      administrator: secretField(found, name, 'administrator', administrator),
    },
  };
}
